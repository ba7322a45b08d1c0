// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace meridian::limits {

// --- trust: the vault ---
inline constexpr std::size_t vault_key_bytes_max = 400;
inline constexpr std::size_t vault_value_bytes_max = 1u << 20;

// --- trust: tokens and the gate ---
inline constexpr std::size_t token_bytes_max = 16u << 10;  ///< of a bearer token
inline constexpr unsigned standing_milliseconds =
    500;  ///< what is known of a token's standing counts for so long
inline constexpr std::size_t tokens_remembered_max = 20'000;
inline constexpr std::int64_t host_token_seconds_max =
    400 * 86'400;  ///< of a token that a script on the server's machine asks for

// --- trust: how fast one account may ask (pace.hpp) ---
inline constexpr unsigned account_requests_burst = 1'000;
inline constexpr unsigned account_requests_a_second = 50;
inline constexpr std::size_t accounts_paced_max = 20'000;  ///< that are remembered

// --- trust: jose and oauth ---
inline constexpr std::size_t jwt_bytes_max = 16u << 10;
inline constexpr std::size_t jwks_bytes_max = 128u << 10;
inline constexpr std::size_t jwks_keys_max = 40;
inline constexpr std::size_t rsa_bits_min = 2048;
inline constexpr std::size_t rsa_bits_max = 4096;  ///< larger ones make a check expensive
inline constexpr std::size_t jwt_identifier_bytes_max = 256;  ///< of a jti, kid or sub
inline constexpr int jwt_clock_skew_seconds_max = 60;
inline constexpr int client_assertion_seconds_max = 300;  ///< SMART 2.2: at most five minutes
inline constexpr std::size_t oauth_parameter_bytes_max = 8u << 10;
inline constexpr std::size_t oauth_state_bytes_max = 2048;  ///< of state, and of nonce
inline constexpr std::size_t oauth_scopes_max = 100;        ///< in one request or registration
inline constexpr std::size_t oauth_redirect_uris_max = 20;  ///< of one client
inline constexpr std::size_t oauth_patients_shown_max = 50;
inline constexpr std::size_t oauth_clients_listed_max = 1000;
inline constexpr std::size_t oauth_jwks_cached_max = 256;  ///< documents of clients and providers
inline constexpr int oauth_jwks_cache_seconds = 600;
inline constexpr int oauth_jwks_refresh_seconds_min = 10;  ///< between two fetches for unknown keys
inline constexpr int oauth_fetch_seconds_max = 10;
inline constexpr int oauth_code_seconds = 60;
inline constexpr int oauth_code_remembered_seconds = 24 * 3600;  ///< to notice that it is replayed
inline constexpr int oauth_form_seconds = 15 * 60;
inline constexpr int oauth_pushed_seconds = 10 * 60;  ///< RFC 9126 §2.2: 5 to 600
inline constexpr int oauth_launch_seconds = 5 * 60;
inline constexpr int oauth_federation_seconds = 15 * 60;
inline constexpr int oauth_vault_attempts_max = 8;  ///< when others write the same entry
inline constexpr std::size_t oauth_client_name_bytes_max = 200;
inline constexpr int oauth_document_seconds = 300;  ///< how long discovery and keys may be kept
inline constexpr std::int64_t oauth_key_margin_milliseconds =
    120'000;  ///< that a retired key is shown longer: clocks, and tokens on their way
inline constexpr std::size_t oauth_provider_name_bytes_max = 40;
inline constexpr std::size_t oauth_provider_text_bytes_max = 400;  ///< of its label, our id there
inline constexpr std::size_t oauth_providers_max = 20;  ///< outside ones that people sign in at
inline constexpr int oauth_federation_age_seconds_max =
    12 * 3600;  ///< since the person proved at a provider who they are; more is asked for anew
inline constexpr std::size_t oauth_apps_listed_max = 200;    ///< that one person has allowed
inline constexpr std::size_t oauth_grants_per_app_max = 32;  ///< of one person; the oldest ends

// --- trust: accounts, sessions, passkeys ---
inline constexpr std::size_t account_name_bytes_max = 128;
inline constexpr std::size_t account_text_bytes_max = 400;  ///< display name, references, labels
inline constexpr std::size_t account_identities_max = 8;    ///< of other providers, per account
inline constexpr std::size_t account_passkeys_max = 20;
inline constexpr unsigned account_write_attempts_max = 8;  ///< when others write it meanwhile
inline constexpr std::size_t accounts_listed_max = 500;    ///< in one call
/// NIST SP 800-63B-4 §3.1.1.2 and ASVS 5.0 V6.2.1: at least 8, no upper bound below 64.
inline constexpr std::size_t password_characters_min = 8;
inline constexpr std::size_t password_bytes_max = 1000;
/// libsodium's "moderate" cost, some 0.7 s on one core: above the least that OWASP names (19 MiB,
/// t = 2), and what a guess from a stolen store costs as well.
inline constexpr unsigned long long argon2_operations = 3;
inline constexpr std::size_t argon2_memory_bytes = 256u << 20;
/// Each takes argon2_memory_bytes, so that all together stay below 1 GiB.
inline constexpr unsigned argon2_at_once_max = 3;
inline constexpr unsigned argon2_waiting_max = 12;  ///< more are told to come back (503)
inline constexpr unsigned argon2_wait_seconds_max = 6;
/// RFC 4226 §4 R6 asks for 128 bits and recommends 160.
inline constexpr std::size_t totp_secret_bytes = 20;
inline constexpr unsigned totp_digits = 6;
inline constexpr unsigned totp_step_seconds = 30;
inline constexpr int totp_window_steps = 1;  ///< either side, for clocks that differ
inline constexpr std::size_t recovery_codes = 10;
inline constexpr std::size_t recovery_code_bytes = 15;  ///< 120 bits: too many to guess
/// Counters of failed sign-ins lie in so many places per kind; see accounts/throttle.hpp.
inline constexpr std::size_t throttle_places = 1u << 16;
inline constexpr std::size_t device_cookie_accounts_max = 8;  ///< that one browser is known to
inline constexpr std::size_t device_cookie_bytes_max = 3'000;
inline constexpr unsigned device_cookie_days = 365;
inline constexpr std::size_t session_id_bytes = 32;
inline constexpr std::size_t sessions_per_account_max = 50;
inline constexpr unsigned session_touch_seconds = 60;  ///< how stale "last used" may be
inline constexpr std::size_t session_device_bytes_max = 120;
inline constexpr unsigned sign_in_minutes = 10;  ///< between the password and the second factor
inline constexpr unsigned sign_in_code_attempts_max = 5;
inline constexpr unsigned setup_link_hours = 24;
/// Of an operator's own list of refused passwords, 8 bytes each in memory.
inline constexpr std::size_t refused_passwords_max = 10'000'000;
inline constexpr std::size_t administration_rows_max = 50;    ///< of one page of a list
inline constexpr std::size_t accounts_searched_max = 20'000;  ///< by one page of a search
inline constexpr std::size_t cbor_bytes_max = 64u << 10;  ///< an attestation with its certificates
inline constexpr unsigned cbor_depth_max = 8;
inline constexpr std::size_t cbor_items_max = 1024;
inline constexpr std::size_t credential_id_bytes_max = 1023;  ///< WebAuthn level 2 §6.5.1
inline constexpr std::size_t client_data_bytes_max = 4u << 10;
inline constexpr unsigned passkey_challenge_minutes = 5;
inline constexpr std::size_t passkey_label_bytes_max = 80;
inline constexpr std::int64_t passkey_ceremony_milliseconds =
    120'000;  ///< what the browser gives the person
inline constexpr std::size_t return_to_bytes_max = 4'000;

// --- trust: policy and consent ---
inline constexpr std::size_t policy_files_max = 64;
inline constexpr std::size_t policy_bytes_max = 1u << 20;
/// Patients of one caller by care team, assignment, guardianship; beyond it the decision fails.
inline constexpr std::size_t policy_patients_max = 20'000;
/// Resources that are read for one caller's context (care teams, tasks, appointments, encounters).
inline constexpr std::size_t policy_context_resources_max = 20'000;
/// Callers whose context is kept.
inline constexpr std::size_t policy_contexts_max = 4'096;
/// Log entries that one request looks through for changes; beyond it everything is read anew.
inline constexpr std::size_t policy_log_entries_max = 50'000;
inline constexpr std::size_t policy_scopes_max = 200;
inline constexpr std::size_t consents_max = 1'000'000;
inline constexpr unsigned consent_provision_depth_max = 16;
inline constexpr std::size_t break_glass_reason_bytes_max = 2'000;
inline constexpr std::size_t break_glass_reviews_listed_max = 500;

// --- trust: audit and its tree ---
inline constexpr std::size_t tree_batch_entries = 4'096;  ///< log entries read at a time
inline constexpr std::uint64_t tree_unsigned_leaves_max =
    1u << 20;  ///< after so many new leaves a checkpoint is signed on the way
inline constexpr std::size_t tree_names_max = 100'000;  ///< texts remembered while leaves are made
inline constexpr std::size_t tree_files_synced_singly_max =
    64;  ///< more new tiles than these are flushed with their whole file system
inline constexpr std::size_t note_bytes_max = 64u << 10;          ///< of a signed note
inline constexpr std::size_t note_signatures_max = 64;            ///< of a signed note
inline constexpr std::size_t note_name_bytes_max = 256;           ///< of a key's name
inline constexpr std::size_t checkpoint_keys_max = 1'000;         ///< old and new ones of a log
inline constexpr std::size_t tree_leaves_per_answer_max = 1'024;  ///< of /log/entries
inline constexpr std::uint64_t tree_look_ahead_entries =
    2'048;  ///< of which one must be right for a log not to count as rewritten
inline constexpr std::size_t tree_findings_max = 100;   ///< that a verification keeps
inline constexpr std::size_t tree_tiles_kept_max = 64;  ///< in memory while damage is told apart
inline constexpr std::size_t tree_names_tried_max = 100'000;  ///< in the place of an altered one
inline constexpr unsigned tree_kinds_tried_max = 16;
inline constexpr std::size_t tree_repaired_singly_max = 1'000;  ///< more: all tiles are made again
inline constexpr std::size_t audit_text_bytes_max = 200;     ///< of a name, a reference, an address
inline constexpr std::size_t audit_query_bytes_max = 2'048;  ///< of a search that are kept
inline constexpr std::size_t audit_entry_patients_max = 150;  ///< more make another entry
inline constexpr std::size_t audit_request_patients_max =
    1'500;  ///< of one answer; more are only told of
inline constexpr std::size_t audit_actors_remembered_max = 65'536;
inline constexpr std::size_t audit_refusals_a_second =
    20;  ///< entries of requests refused at the gate; more are counted
inline constexpr std::size_t audit_entries_looked_at_max =
    20'000;  ///< by one page of a search; the next page goes on behind them
inline constexpr std::size_t audit_entries_at_once = 500;     ///< read from the store for that
inline constexpr std::size_t audit_references_shown_max = 5;  ///< of one entry, on a page
inline constexpr std::size_t audit_cursor_bytes_max = 8'192;

// --- trust: keys ---
inline constexpr std::size_t data_keys_cached_max = 200'000;  ///< some 600 bytes each
inline constexpr std::size_t data_keys_lost_max = 10'000;
inline constexpr unsigned data_key_unstored_seconds =
    600;  ///< how long a body may wait in memory for its commit
inline constexpr unsigned key_standing_milliseconds =
    900;  ///< what is known of keys counts for so long
inline constexpr unsigned key_look_milliseconds = 300;
inline constexpr std::size_t key_rows_at_once = 500;
inline constexpr std::size_t key_backup_bytes_max = std::size_t{4} << 30;
inline constexpr std::size_t erasure_patients_max = 100;  ///< that are one person
inline constexpr std::size_t erasure_batch_resources = 500;
inline constexpr std::size_t erasure_versions_max = 100'000;  ///< of one resource
inline constexpr std::size_t erasure_mentions_max = 10'000;   ///< listed in a certificate
inline constexpr std::size_t sealing_batch_versions = 200;  ///< in one commit, one after the other
inline constexpr unsigned sealing_slice_milliseconds = 1'000;  ///< between two signs of life
inline constexpr unsigned key_attempts_max = 50;  ///< after which others change them too often
inline constexpr unsigned long token_objects_max = 1'000;  ///< keys looked for in a PKCS#11 token
inline constexpr std::size_t key_backup_versions_looked_at = 20;
inline constexpr std::int64_t retention_years_max = 1'000;

}  // namespace meridian::limits
