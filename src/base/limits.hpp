// SPDX-License-Identifier: Apache-2.0
// Every bound of the server in one place, named with its unit. A bound that a caller can hit has a
// test that hits it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace meridian::limits {

// --- JSON and XML ---
inline constexpr std::size_t json_bytes_max =
    256u << 20;  ///< one JSON text; a bundle of ≥ 10,000 entries fits
inline constexpr unsigned json_depth_max = 128;       ///< nesting of arrays and objects
inline constexpr std::size_t number_length_max = 64;  ///< characters of one number
inline constexpr int decimal_scale_max =
    400;  ///< places before or behind the point that an exponent may reach (a double needs 340)
inline constexpr std::size_t xml_bytes_max = 256u << 20;
inline constexpr unsigned xml_depth_max = 128;
inline constexpr std::size_t file_bytes_max = 1u << 30;  ///< a file that is read whole
inline constexpr std::size_t config_bytes_max = 1u << 20;

// --- HTTP ---
inline constexpr std::size_t http_body_bytes_max = 128u << 20;
inline constexpr std::size_t http_header_bytes_max = 32u << 10;
inline constexpr std::size_t http_url_bytes_max = 16u << 10;
inline constexpr unsigned http_connections_max = 8192;
inline constexpr unsigned http_requests_waiting_max =
    1024;                                         ///< queue before the workers; beyond it 503
inline constexpr unsigned http_pipeline_max = 1;  ///< requests of one connection in work at a time
inline constexpr unsigned http_header_timeout_seconds =
    15;  ///< for a request's headers, from their first byte
inline constexpr unsigned http_body_timeout_seconds = 1200;  ///< for a body, however fast it comes
inline constexpr unsigned http_body_grace_seconds =
    20;  ///< for a body before it must keep the rate below
inline constexpr std::size_t http_body_bytes_per_second_min = 2u << 10;
inline constexpr unsigned http_idle_timeout_seconds = 75;
inline constexpr unsigned http_write_timeout_seconds = 60;  ///< without progress of an answer
inline constexpr std::size_t http_write_bytes_per_second_min =
    1u << 10;  ///< of an answer, after a grace of http_write_timeout_seconds
// When this many of a hundred connections are taken, slow clients get the shorter times; when this
// many are, those that have been waited for longest are closed, first of addresses over their
// share.
inline constexpr unsigned http_pressure_percent = 70;
inline constexpr unsigned http_eviction_percent = 90;
inline constexpr unsigned http_pressure_timeout_seconds = 5;  ///< for headers, body grace, idling
inline constexpr unsigned http_address_share_percent =
    25;  ///< of connections_max: no limit, only who goes first
inline constexpr unsigned http_proxies_max = 64;  ///< addresses and ranges of proxies in front
inline constexpr unsigned http_forwarded_hops_max =
    32;  ///< entries of Forwarded that are looked at
inline constexpr unsigned http_cors_origins_max = 256;
inline constexpr unsigned http_cors_age_seconds = 600;  ///< a preflight's answer may be kept
inline constexpr unsigned http_strict_transport_seconds =
    63'072'000;  ///< two years (RFC 6797): what browsers ask for
inline constexpr std::size_t tls_file_bytes_max = 1u << 20;  ///< of certificates, and of the key
inline constexpr std::size_t tls_chain_certificates_max = 10;
inline constexpr unsigned tls_watch_seconds = 10;  ///< between two looks at certificate and key
inline constexpr std::size_t http_chunk_bytes = 256u << 10;  ///< of a streamed answer
inline constexpr std::size_t websocket_message_bytes_max = 1u << 20;
inline constexpr std::size_t websocket_outbox_messages_max = 1024;
inline constexpr std::size_t websocket_outbox_bytes_max = 16u << 20;
inline constexpr unsigned websocket_handshake_timeout_seconds = 10;
inline constexpr unsigned websocket_close_timeout_seconds =
    3;  ///< for the client's answer to our close frame
inline constexpr unsigned websocket_idle_timeout_seconds =
    60;  ///< half of it without traffic sends a ping
inline constexpr unsigned http_stop_timeout_seconds =
    10;  ///< for slow clients when the server stops
inline constexpr unsigned http_linger_timeout_seconds =
    2;  ///< reading on after a refusal, so that the client sees it
inline constexpr unsigned http_retry_after_seconds = 1;  ///< told with 503
inline constexpr unsigned http_workers_default =
    32;  ///< many: a write waits for its fsync on its worker
inline constexpr std::size_t http_body_at_once_bytes_max =
    32u << 10;  ///< packed body of a read that the I/O thread answers itself
inline constexpr std::size_t http_headers_max = 200;  ///< fields of one request
inline constexpr std::size_t http_accept_ranges_max =
    64;  ///< entries of an Accept header that are looked at
inline constexpr std::size_t http_compress_bytes_min =
    1024;  ///< shorter answers are not compressed
inline constexpr std::size_t client_answer_bytes_max =
    16u << 20;  ///< of an answer to our own HTTP client

// --- bundles, search, paging ---
inline constexpr std::size_t bundle_entries_max = 50'000;
inline constexpr std::size_t search_parameters_max = 100;  ///< in one query
inline constexpr std::size_t search_values_max = 1'000;    ///< OR values of one parameter
inline constexpr unsigned chain_depth_max = 5;             ///< hops of a chain or nested _has
inline constexpr unsigned include_depth_max = 5;           ///< rounds of :iterate
inline constexpr std::size_t includes_max = 10'000;        ///< included resources of one page
inline constexpr std::size_t page_size_default = 20;
inline constexpr std::size_t page_size_max = 1'000;
inline constexpr std::size_t page_window_ids_max =
    1'000;  ///< result ids that a sorted first page fixes
inline constexpr std::size_t page_walk_ids_max =
    200'000;  ///< results that one sorted walk can give out
inline constexpr std::size_t cursors_max = 10'000;
inline constexpr unsigned cursor_life_seconds = 3'600;
inline constexpr std::size_t conditional_matches_max =
    1'000;  ///< of a conditional delete of several
inline constexpr unsigned commit_retries_max =
    16;  ///< when a condition changed between reading and committing
inline constexpr std::size_t everything_resources_max =
    1'000'000;  ///< observations that one $lastn looks through

// --- validation ---
inline constexpr std::size_t validation_issues_max = 200;  ///< findings told about one resource
inline constexpr std::size_t profiles_kept_max = 1'000;  ///< profiles that stay prepared in memory
inline constexpr unsigned profile_depth_max = 64;  ///< profiles that ask for one another, in a row

// --- FHIRPath ---
inline constexpr std::size_t patch_operations_max =
    10'000;  ///< of one JSON Patch or FHIRPath Patch
inline constexpr std::size_t fhirpath_expression_bytes_max = 64u << 10;
inline constexpr unsigned fhirpath_depth_max = 200;  ///< nesting of an expression
inline constexpr std::size_t fhirpath_steps_max =
    10'000'000;  ///< evaluation steps of one expression
inline constexpr std::size_t fhirpath_items_max = 1'000'000;  ///< items of one collection
inline constexpr std::size_t fhirpath_string_bytes_max =
    16u << 20;  ///< one text that an expression makes
inline constexpr std::size_t regex_bytes_max = 4'096;
inline constexpr std::size_t ucum_unit_bytes_max = 256;  ///< one unit expression
inline constexpr unsigned ucum_depth_max = 32;           ///< nesting of its parentheses
inline constexpr int ucum_exponent_max = 60;
inline constexpr int ucum_magnitude_max = 200;             ///< powers of ten of a conversion factor
inline constexpr std::size_t ucum_units_kept_max = 1'024;  ///< parsed units that a thread remembers

// --- store ---
inline constexpr std::size_t commit_queue_max =
    4'096;  ///< commits that wait for the committer; beyond it busy
inline constexpr std::size_t commit_group_changes_max = 8'192;  ///< changes that share one fsync
inline constexpr std::size_t import_chunk_lines =
    1'000;  ///< NDJSON lines that one thread parses at a time
inline constexpr std::size_t load_batch_changes = 40'000;  ///< resources of one sorted bulk batch
inline constexpr std::size_t load_batch_changes_min =
    250;  ///< of an import beside other writers, however slow its commits are
inline constexpr unsigned load_commit_milliseconds =
    30;  ///< how long a commit of such an import should take
inline constexpr std::size_t load_bytes_max =
    64u << 20;  ///< text of resources that one chunk, and one batch, may hold
inline constexpr std::size_t blob_bytes_max = 512u << 20;
inline constexpr std::size_t pack_file_bytes_max = 1u << 30;
inline constexpr std::size_t resource_bytes_max = 128u << 20;
inline constexpr std::size_t index_string_bytes_max = 200;  ///< indexed start of a string value
inline constexpr std::size_t index_text_bytes_max = 1u
                                                    << 20;  ///< indexed start of a resource's prose
inline constexpr std::size_t contained_indexed_max =
    1'000;  ///< contained resources of one resource that searches can find
inline constexpr std::size_t index_rows_per_resource_max = 1'000'000;
inline constexpr std::size_t statement_cache_max =
    256;  ///< prepared statements kept per connection
inline constexpr std::size_t directory_cache_identities =
    200'000;                                       ///< identities that the committer remembers
inline constexpr std::size_t snapshots_max = 512;  ///< open at the same time; beyond it unavailable
inline constexpr std::size_t snapshots_idle_max = 24;  ///< reading connections kept for reuse
inline constexpr unsigned wal_pages_before_checkpoint = 20'000;  ///< 160 MB
inline constexpr unsigned wal_pages_before_checkpoint_bulk = 80'000;
inline constexpr std::size_t check_problems_max = 1'000;  ///< after these a check stops looking
inline constexpr std::size_t check_rows_at_once = 2'000;  ///< that a check holds of a table
inline constexpr std::size_t check_bytes_at_once = 32u
                                                   << 20;  ///< of bodies and index rows likewise
inline constexpr std::int64_t check_rids_at_once =
    1LL << 30;  ///< rids that one walk of the directory tells apart: a bit each
inline constexpr std::size_t migrate_batch_entries = 20'000;   ///< log entries of one transaction
inline constexpr std::size_t migrate_batch_bytes = 48u << 20;  ///< and the bodies in it
inline constexpr std::size_t migrate_identities_at_once = 20'000;
inline constexpr std::int64_t migrate_entries_behind =
    1'000;  ///< a live store counts as caught up with when no more entries are left
inline constexpr unsigned backup_looks_max =
    100;  ///< for a version that moves from one table to another while it is looked for
inline constexpr unsigned backup_look_pause_milliseconds = 100;
inline constexpr unsigned search_statement_copies_max =
    8;  ///< copies of one statement that a search keeps prepared
inline constexpr std::size_t search_streams_max =
    8;  ///< key ranges of one condition that are walked side by side
inline constexpr std::size_t search_probes_max =
    256;  ///< values of a token condition that are looked up before the search begins
inline constexpr std::size_t search_walk_cursors_max =
    64;                                                ///< key ranges that a sorted walk merges
inline constexpr std::size_t counts_kept_max = 4'096;  ///< answers to counts that are remembered
inline constexpr std::size_t counted_question_bytes_max =
    4'096;  ///< a question may list all codes of a value set: the count of a longer one is not kept
inline constexpr std::size_t search_verdicts_max =
    100'000;  ///< remembered verdicts on the targets of one chain

// --- store on PostgreSQL ---
inline constexpr unsigned database_connect_seconds = 3;  ///< for each host of the URL
inline constexpr std::size_t database_connections_max =
    40;  ///< that one server reads by at the same time
inline constexpr unsigned database_connection_wait_seconds =
    5;  ///< for one of them; after these unavailable
inline constexpr unsigned database_silence_seconds =
    60;  ///< a statement may take so long; then its connection is given up
inline constexpr unsigned database_network_seconds =
    10;  ///< the other machine may leave sent bytes unacknowledged for so long
inline constexpr unsigned migration_lock_seconds =
    10;  ///< a migration waits for one that was killed to let go of its lock
inline constexpr unsigned database_pulse_seconds =
    5;  ///< a small question may stay unanswered for so long; then every connection is given up
inline constexpr unsigned database_idle_transaction_seconds =
    8;  ///< then the database ends a transaction whose server says nothing, and its locks
inline constexpr unsigned database_at_once_milliseconds =
    100;  ///< that a thread which must not wait gives a read
inline constexpr std::size_t database_replicas_max = 16;
inline constexpr unsigned database_stale_seconds_max =
    3'600;  ///< what is older on a replica is not given out, whatever a client allows
inline constexpr std::size_t database_key_bytes_max =
    400;  ///< of a text in a key; longer ones are cut and told apart by their hash
inline constexpr int database_shards_max =
    1'024;  ///< hash partitions, or shards of a Citus cluster
inline constexpr unsigned database_retries_max =
    8;  ///< of a group that met another server's in the database

// --- following views ---
inline constexpr std::size_t follow_batch_entries =
    1'000;  ///< log entries handed to a view at a time
inline constexpr std::size_t reindex_batch_resources =
    500;  ///< resources read at a time by a reindex
inline constexpr unsigned follow_pause_milliseconds =
    200;  ///< longest sleep of the thread that drives the views

// --- subscriptions ---
inline constexpr std::size_t subscriptions_max = 10'000;
inline constexpr unsigned subscription_retries_max = 8;
inline constexpr std::int64_t subscription_chunk_events =
    64;  ///< positions that share one stored chunk
inline constexpr std::int64_t subscription_notification_events =
    100;  ///< of one notification, unless the subscriber asks for fewer
inline constexpr std::int64_t subscription_answer_events = 1'000;  ///< of one $events answer
inline constexpr unsigned subscription_backoff_doublings_max =
    9;  ///< a pause between tries is at most 2^9 times the first
inline constexpr unsigned subscription_timeout_seconds =
    10;  ///< for a receiver's answer, unless the subscriber asks otherwise
inline constexpr unsigned subscription_timeout_seconds_max = 60;
inline constexpr std::size_t subscription_headers_max = 20;  ///< channel.header of one subscription
inline constexpr unsigned subscription_token_life_seconds = 600;
inline constexpr std::size_t subscription_sockets_max = 64;  ///< bound to one subscription
inline constexpr std::size_t subscription_owner_versions =
    50;  ///< versions looked through for who wrote a subscription
inline constexpr std::size_t subscription_save_threads =
    16;  ///< that wait for the same fsync when many subscriptions have events

// --- bulk data ---
inline constexpr std::size_t export_jobs_max = 16;
inline constexpr std::size_t export_file_resources = 100'000;
inline constexpr std::size_t export_finished_max =
    50;  ///< finished exports that are kept with their files; beyond them the oldest goes
inline constexpr unsigned export_finished_seconds = 3 * 86'400;  ///< that one is kept
inline constexpr std::size_t export_batch_resources = 1'000;     ///< versions read at a time
inline constexpr std::size_t import_jobs_max = 16;  ///< `$import` jobs that are kept or at work
inline constexpr std::size_t import_inputs_max = 1'000;  ///< files that one `$import` names
inline constexpr std::size_t import_fetch_bytes_max =
    std::size_t{1} << 40;  ///< of one fetched file; it is streamed, not kept
inline constexpr unsigned import_fetch_idle_seconds =
    60;  ///< a source may send nothing for so long
inline constexpr unsigned import_fetch_redirects_max = 5;
inline constexpr std::size_t import_rejects_max =
    100'000;  ///< rejected lines told with their reasons; further ones are counted
inline constexpr std::size_t rejected_text_bytes_max =
    1'024;  ///< start of a line above resource_bytes_max that its rejection tells
inline constexpr std::size_t submissions_max = 1'000;  ///< `$bulk-submit` submissions that are kept
inline constexpr std::size_t submission_manifests_max = 1'000;  ///< of one submission
inline constexpr std::size_t manifest_bytes_max = 16u << 20;    ///< one fetched manifest

// --- terminology ---
inline constexpr std::size_t expansion_concepts_max =
    100'000;  ///< of one $expand answer without count
inline constexpr unsigned concept_depth_max = 100;
inline constexpr unsigned value_set_imports_max =
    40;  ///< value sets that import one another, in a row
inline constexpr std::size_t terminology_concepts_max =
    8'000'000;  ///< of all code systems kept in memory
inline constexpr std::size_t terminology_entries_max =
    20'000;  ///< code systems, value sets and maps kept in memory, each kind
inline constexpr std::size_t terminology_versions_max =
    100;  ///< stored resources that share one canonical
inline constexpr std::size_t terminology_maps_max =
    2'000;  ///< stored concept maps that a translation without a map looks through
inline constexpr std::size_t terminology_log_entries_max =
    200'000;  ///< writes looked through for newer terminology; beyond them all is loaded anew
inline constexpr std::size_t closures_max = 1'000;             ///< closure tables that are kept
inline constexpr std::size_t closure_concepts_max = 100'000;   ///< of one closure table
inline constexpr std::size_t closure_entries_max = 1'000'000;  ///< rows of one closure table
inline constexpr std::size_t closure_name_bytes_max = 200;
inline constexpr std::size_t translations_max = 1'000;  ///< matches of one $translate
inline constexpr std::size_t definitions_frame_bytes_max =
    16u << 20;  ///< one unpacked zstd frame of data/r4

// --- synthetic region ---
inline constexpr std::uint64_t region_patients_max = 100'000'000;
inline constexpr int region_years_max = 30;
inline constexpr std::size_t region_file_buffer_bytes = 256u << 10;  ///< per resource type

}  // namespace meridian::limits
