// SPDX-License-Identifier: Apache-2.0
#include "fhir/terminology/closure.hpp"

#include <algorithm>
#include <charconv>

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"

namespace meridian::fhir::terminology {

namespace {

constexpr std::string_view list_key = "closures";
/// From so many new concepts of a system on, going up from every old one is cheaper than going down
/// from every new one.
constexpr std::size_t many_concepts = 64;

std::string head_key(std::string_view name) {
    return fmt::format("closure {}", to_hex(name));
}

std::string chunk_key(std::string_view name, std::int64_t version) {
    return fmt::format("closure {} {}", to_hex(name), version);
}

std::unexpected<Error> must_restart(std::string_view name, std::string_view why) {
    return fail(Category::unprocessable,
                fmt::format("closure \"{}\" must be reinitialized: {}", name, why), "version");
}

/// The rows that new concepts of one system bring: each concept with every ancestor in the table.
class NewRows {
 public:
    NewRows(const CodeSystem& codes, const std::set<std::string, std::less<>>& old_codes,
            const std::vector<ConceptIndex>& new_concepts, std::vector<ClosureEntry>& out)
        : codes_(codes), old_(codes.size()), new_(codes.size()), out_(out) {
        for (const std::string& code : old_codes) {
            // A newer version of the system may have lost it: it takes part no longer.
            if (const ConceptIndex at = codes.find(code); at != no_concept) old_.set(at);
        }
        for (const ConceptIndex at : new_concepts) new_.set(at);
    }

    Result<void> collect() {
        new_.each([&](std::size_t at) {
            add_ancestors(at,
                          [&](std::size_t above) { return old_.test(above) || new_.test(above); });
            return out_.size() <= limits::closure_entries_max;
        });
        if (new_.count() < many_concepts) {
            new_.each([&](std::size_t above) {
                codes_.below(static_cast<ConceptIndex>(above)).each([&](std::size_t at) {
                    if (old_.test(at)) add(at, above);
                    return true;
                });
                return out_.size() <= limits::closure_entries_max;
            });
        } else {
            old_.each([&](std::size_t at) {
                add_ancestors(at, [&](std::size_t above) { return new_.test(above); });
                return out_.size() <= limits::closure_entries_max;
            });
        }
        if (out_.size() > limits::closure_entries_max)
            return fail(Category::too_large,
                        fmt::format("these concepts bring more than {} rows: add fewer at a time",
                                    limits::closure_entries_max),
                        "concept");
        return {};
    }

 private:
    template <class Wanted>
    void add_ancestors(std::size_t at, Wanted wanted) {
        codes_.above(static_cast<ConceptIndex>(at)).each([&](std::size_t above) {
            if (above != at && wanted(above)) add(at, above);
            return true;
        });
    }
    void add(std::size_t at, std::size_t above) {
        out_.push_back({codes_.url(), std::string(codes_.code(static_cast<ConceptIndex>(at))),
                        std::string(codes_.code(static_cast<ConceptIndex>(above)))});
    }

    const CodeSystem& codes_;
    Bits old_, new_;
    std::vector<ClosureEntry>& out_;
};

}  // namespace

/// What one version added.
struct Closures::Chunk {
    std::vector<std::pair<std::string, std::string>> concepts{};  ///< system, code
    std::vector<ClosureEntry> entries{};

    std::string to_text() const {
        std::string out = R"({"concepts":[)";
        const auto write_row = [&out](bool is_first, std::initializer_list<std::string_view> row) {
            out += is_first ? "[" : ",[";
            bool is_start = true;
            for (const std::string_view text : row) {
                if (!is_start) out += ',';
                write_string(text, out);
                is_start = false;
            }
            out += ']';
        };
        for (const auto& [system, code] : concepts) write_row(out.ends_with('['), {system, code});
        out += R"(],"entries":[)";
        for (const ClosureEntry& entry : entries)
            write_row(out.ends_with('['), {entry.system, entry.code, entry.ancestor});
        return out + "]}";
    }

    static Result<Chunk> read(std::string_view text) {
        const JsonDocument document = TRY(JsonDocument::parse(text));
        Chunk chunk;
        for (const Json& row : document.root()["concepts"].items()) {
            if (row.size() == 2)
                chunk.concepts.emplace_back(row.items()[0].text(), row.items()[1].text());
        }
        for (const Json& row : document.root()["entries"].items()) {
            if (row.size() == 3)
                chunk.entries.push_back({std::string(row.items()[0].text()),
                                         std::string(row.items()[1].text()),
                                         std::string(row.items()[2].text())});
        }
        return chunk;
    }
};

Result<Closures::Chunk> Closures::read_chunk(std::string_view name, std::int64_t version) {
    const auto text = TRY(store_.setting(chunk_key(name, version)));
    if (!text || text->empty())
        return fail(Category::fault,
                    fmt::format("version {} of closure \"{}\" is lost", version, name));
    return Chunk::read(*text);
}

Result<void> Closures::save_head(std::string_view name, const Table& table) {
    return store_.save_setting(head_key(name), fmt::format("{} {}", table.first, table.last));
}

Result<Closures::Table*> Closures::find(std::string_view name) {
    if (const auto known = tables_.find(name); known != tables_.end()) return &known->second;
    const auto head = TRY(store_.setting(head_key(name)));
    if (!head) return nullptr;
    Table table;
    const char* end = head->data() + head->size();
    const auto first = std::from_chars(head->data(), end, table.first);
    if (first.ptr != end) std::from_chars(first.ptr + 1, end, table.last);
    for (std::int64_t version = table.first + 1; version <= table.last; ++version) {
        for (const auto& [system, code] : TRY(read_chunk(name, version)).concepts)
            table.size += table.concepts[system].insert(code).second ? 1 : 0;
    }
    return &tables_.emplace(name, std::move(table)).first->second;
}

Result<ClosureAnswer> Closures::start(std::string_view name) {
    if (name.empty() || name.size() > limits::closure_name_bytes_max)
        return fail(
            Category::incorrect,
            fmt::format("a closure's name has 1 to {} bytes", limits::closure_name_bytes_max),
            "name");
    const std::lock_guard lock(mutex_);
    Table* known = TRY(find(name));
    if (known == nullptr) {
        std::string list = TRY(store_.setting(list_key)).value_or("");
        const std::string line = to_hex(name) + "\n";
        if (list.find(line) == std::string::npos) {
            if (std::count(list.begin(), list.end(), '\n') >=
                static_cast<std::ptrdiff_t>(limits::closures_max))
                return fail(Category::busy,
                            fmt::format("there are {} closure tables already: empty and use one "
                                        "of them",
                                        limits::closures_max));
            TRY(store_.save_setting(list_key, list + line));
        }
        Table table;
        TRY(save_head(name, table));
        tables_.emplace(name, std::move(table));
        return ClosureAnswer{};
    }
    // Versions go on counting, so that a client of the emptied table is told to begin anew.
    Table emptied;
    emptied.first = emptied.last = known->last == known->first ? known->last : known->last + 1;
    TRY(save_head(name, emptied));
    for (std::int64_t version = known->first + 1; version <= known->last; ++version)
        TRY(store_.save_setting(chunk_key(name, version), ""));
    *known = std::move(emptied);
    return ClosureAnswer{known->last, {}};
}

Result<ClosureAnswer> Closures::add(std::string_view name,
                                    std::span<const ClosureConcept> concepts) {
    const std::lock_guard lock(mutex_);
    Table* table = TRY(find(name));
    if (table == nullptr)
        return fail(Category::unprocessable,
                    fmt::format("invalid closure name \"{}\": start it with a call that has no "
                                "concepts",
                                name.substr(0, limits::closure_name_bytes_max)),
                    "name");
    // 1. what is new, by system
    struct New {
        std::shared_ptr<const CodeSystem> codes;
        std::vector<ConceptIndex> concepts{};
        std::set<ConceptIndex> seen{};
    };
    std::map<std::string, New> by_system;
    Chunk chunk;
    for (const ClosureConcept& wanted : concepts) {
        New& fresh = by_system[wanted.system];
        if (!fresh.codes) {
            auto codes = library_->code_system(wanted.system, wanted.version);
            if (!codes)
                return fail(Category::unprocessable, codes.error().message, "concept.system");
            fresh.codes = *std::move(codes);
        }
        const ConceptIndex at = fresh.codes->find(wanted.code);
        if (at == no_concept)
            return fail(
                Category::unprocessable,
                fmt::format("{} has no code \"{}\"", fresh.codes->url(), wanted.code.substr(0, 80)),
                "concept.code");
        const std::string_view code = fresh.codes->code(at);
        if (table->concepts[wanted.system].contains(code) || !fresh.seen.insert(at).second)
            continue;
        fresh.concepts.push_back(at);
        chunk.concepts.emplace_back(wanted.system, code);
    }
    if (table->size + chunk.concepts.size() > limits::closure_concepts_max)
        return fail(
            Category::too_large,
            fmt::format("a closure table holds at most {} concepts", limits::closure_concepts_max),
            "concept");
    if (chunk.concepts.empty()) return ClosureAnswer{table->last, {}};
    // 2. the rows they bring
    for (const auto& [system, fresh] : by_system)
        TRY(NewRows(*fresh.codes, table->concepts[system], fresh.concepts, chunk.entries)
                .collect());
    std::sort(chunk.entries.begin(), chunk.entries.end());
    // 3. durable: first what the version holds, then that there is such a version
    Table next{table->first, table->last + 1, {}, 0};
    TRY(store_.save_setting(chunk_key(name, next.last), chunk.to_text()));
    TRY(save_head(name, next));
    table->last = next.last;
    for (const auto& [system, code] : chunk.concepts) table->concepts[system].insert(code);
    table->size += chunk.concepts.size();
    return ClosureAnswer{table->last, std::move(chunk.entries)};
}

Result<ClosureAnswer> Closures::since(std::string_view name, std::string_view version) {
    std::int64_t from = -1;
    const auto [end, error] =
        std::from_chars(version.data(), version.data() + version.size(), from);
    const std::lock_guard lock(mutex_);
    const Table* table = TRY(find(name));
    if (table == nullptr)
        return fail(Category::unprocessable,
                    fmt::format("invalid closure name \"{}\"",
                                name.substr(0, limits::closure_name_bytes_max)),
                    "name");
    if (error != std::errc() || end != version.data() + version.size() || from > table->last ||
        from < 0)
        return must_restart(name, "it never had that version");
    // Version 0 asks for everything.
    if (from < table->first && from != 0) return must_restart(name, "it was emptied since");
    ClosureAnswer answer{table->last, {}};
    for (std::int64_t at = std::max(from, table->first) + 1; at <= table->last; ++at) {
        Chunk chunk = TRY(read_chunk(name, at));
        answer.entries.insert(answer.entries.end(), std::make_move_iterator(chunk.entries.begin()),
                              std::make_move_iterator(chunk.entries.end()));
    }
    std::sort(answer.entries.begin(), answer.entries.end());
    return answer;
}

}  // namespace meridian::fhir::terminology
