// SPDX-License-Identifier: Apache-2.0
#include "trust/audit/entry.hpp"

#include "base/utf8.hpp"

namespace meridian::trust::audit {

namespace {

constexpr char format = 1;

/// The numbers stand in the log for ever: a member that is given up leaves a gap.
enum class Tag : unsigned char {
    interaction = 1,
    outcome = 2,
    actor = 3,
    account = 4,
    role = 5,
    client = 6,
    organisation = 7,
    on_behalf_of = 8,
    type = 9,
    id = 10,
    version = 11,
    query = 12,
    is_query_cut = 13,
    patient = 14,  ///< one for each
    has_more_patients = 15,
    resources = 16,
    address = 17,
    request_id = 18,
    session = 19,
    purpose = 20,
    policy_version = 21,
    clause = 22,
};

void put_number(std::string& out, std::uint64_t number) {
    // LEB128: seven bits a byte, the lowest first.
    while (number >= 0x80) {
        out.push_back(static_cast<char>(number | 0x80));
        number >>= 7;
    }
    out.push_back(static_cast<char>(number));
}

class Encoder {
 public:
    std::string bytes{format};

    void number(Tag tag, std::uint64_t value) {
        if (value == 0) return;
        bytes.push_back(static_cast<char>(tag));
        put_number(bytes, value);
    }
    void text(Tag tag, std::string_view value) {
        if (value.empty()) return;
        bytes.push_back(static_cast<char>(tag));
        put_number(bytes, value.size());
        bytes += value;
    }
};

std::unexpected<Error> damaged() {
    return fail(Category::fault,
                "an audit entry cannot be read: its bytes were altered, or a newer "
                "program has written it");
}

class Decoder {
 public:
    explicit Decoder(std::string_view bytes) : rest_(bytes) {}

    bool is_done() const { return rest_.empty(); }
    Result<Tag> tag() {
        const auto tag = static_cast<unsigned char>(rest_.front());
        rest_.remove_prefix(1);
        const bool is_ordered = tag > last_ || (tag == last_ && tag == patient_tag);
        if (!is_ordered || tag > static_cast<unsigned char>(Tag::clause)) return damaged();
        last_ = tag;
        return static_cast<Tag>(tag);
    }
    Result<std::uint64_t> number() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 63; shift += 7) {
            if (rest_.empty()) return damaged();
            const auto byte = static_cast<unsigned char>(rest_.front());
            rest_.remove_prefix(1);
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if ((byte & 0x80) != 0) continue;
            // Zero is left out, and so are zeros in front.
            if (byte == 0) return damaged();
            return value;
        }
        return damaged();
    }
    Result<std::string> text() {
        const std::uint64_t size = TRY(number());
        if (size > rest_.size()) return damaged();
        std::string value(rest_.substr(0, size));
        rest_.remove_prefix(size);
        if (!is_valid_utf8(value)) return damaged();
        return value;
    }
    Result<void> mark(bool& flag) {
        if (TRY(number()) != 1) return damaged();
        flag = true;
        return {};
    }

 private:
    static constexpr auto patient_tag = static_cast<unsigned char>(Tag::patient);
    std::string_view rest_;
    unsigned char last_ = 0;
};

bool is_known(std::uint64_t interaction) {
    return interaction >= 1 && interaction <= static_cast<std::uint64_t>(fhir::Interaction::job);
}

Result<void> read_number(Decoder& in, Tag tag, Entry& entry) {
    const std::uint64_t value = TRY(in.number());
    switch (tag) {
        case Tag::interaction:
            if (!is_known(value)) return damaged();
            entry.interaction = static_cast<fhir::Interaction>(value);
            return {};
        case Tag::outcome:
            // Compared as it stands there: a larger number may end in the same byte.
            if (value != static_cast<std::uint64_t>(fhir::AuditOutcome::minor_failure) &&
                value != static_cast<std::uint64_t>(fhir::AuditOutcome::refused))
                return damaged();
            entry.outcome = static_cast<fhir::AuditOutcome>(value);
            return {};
        case Tag::version:
            entry.version = static_cast<store::Version>(value);
            return {};
        default:
            entry.resources = static_cast<std::int64_t>(value);
            return {};
    }
}

std::string* text_of(Tag tag, Entry& entry) {
    switch (tag) {
        case Tag::actor:
            return &entry.actor;
        case Tag::account:
            return &entry.account;
        case Tag::role:
            return &entry.role;
        case Tag::client:
            return &entry.client;
        case Tag::organisation:
            return &entry.organisation;
        case Tag::on_behalf_of:
            return &entry.on_behalf_of;
        case Tag::type:
            return &entry.type;
        case Tag::id:
            return &entry.id;
        case Tag::query:
            return &entry.query;
        case Tag::address:
            return &entry.address;
        case Tag::request_id:
            return &entry.request_id;
        case Tag::session:
            return &entry.session;
        case Tag::purpose:
            return &entry.purpose;
        case Tag::policy_version:
            return &entry.policy_version;
        case Tag::clause:
            return &entry.clause;
        default:
            return nullptr;
    }
}

Result<void> read_patient(Decoder& in, Entry& entry) {
    std::string patient = TRY(in.text());
    if (!entry.patients.empty() && patient <= entry.patients.back()) return damaged();
    entry.patients.push_back(std::move(patient));
    return {};
}

}  // namespace

std::string encode(const Entry& entry) {
    Encoder out;
    out.number(Tag::interaction, static_cast<std::uint64_t>(entry.interaction));
    out.number(Tag::outcome, static_cast<std::uint64_t>(entry.outcome));
    out.text(Tag::actor, entry.actor);
    out.text(Tag::account, entry.account);
    out.text(Tag::role, entry.role);
    out.text(Tag::client, entry.client);
    out.text(Tag::organisation, entry.organisation);
    out.text(Tag::on_behalf_of, entry.on_behalf_of);
    out.text(Tag::type, entry.type);
    out.text(Tag::id, entry.id);
    out.number(Tag::version, static_cast<std::uint64_t>(entry.version));
    out.text(Tag::query, entry.query);
    out.number(Tag::is_query_cut, entry.is_query_cut ? 1 : 0);
    for (const std::string& patient : entry.patients) out.text(Tag::patient, patient);
    out.number(Tag::has_more_patients, entry.has_more_patients ? 1 : 0);
    out.number(Tag::resources, static_cast<std::uint64_t>(entry.resources));
    out.text(Tag::address, entry.address);
    out.text(Tag::request_id, entry.request_id);
    out.text(Tag::session, entry.session);
    out.text(Tag::purpose, entry.purpose);
    out.text(Tag::policy_version, entry.policy_version);
    out.text(Tag::clause, entry.clause);
    return std::move(out.bytes);
}

Result<Entry> decode(std::string_view bytes) {
    if (bytes.empty() || bytes.front() != format) return damaged();
    Decoder in(bytes.substr(1));
    Entry entry;
    bool has_interaction = false;
    while (!in.is_done()) {
        const Tag tag = TRY(in.tag());
        has_interaction = has_interaction || tag == Tag::interaction;
        if (std::string* text = text_of(tag, entry)) {
            *text = TRY(in.text());
        } else if (tag == Tag::patient) {
            TRY(read_patient(in, entry));
        } else if (tag == Tag::is_query_cut) {
            TRY(in.mark(entry.is_query_cut));
        } else if (tag == Tag::has_more_patients) {
            TRY(in.mark(entry.has_more_patients));
        } else {
            TRY(read_number(in, tag, entry));
        }
    }
    if (!has_interaction) return damaged();
    return entry;
}

}  // namespace meridian::trust::audit
