// SPDX-License-Identifier: Apache-2.0
#include "store/engine/forward.hpp"

#include "store/engine/forward_view.hpp"

namespace meridian::store {

namespace {

void put_varint(std::string& out, std::uint64_t value) {
    while (value >= 0x80) {
        out.push_back(static_cast<char>(value | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<char>(value));
}

void put_signed(std::string& out, std::int64_t value) {
    put_varint(out, zigzag(value));
}

void put_fixed(std::string& out, std::int64_t value) {
    auto bits = static_cast<std::uint64_t>(value);
    if constexpr (std::endian::native == std::endian::big) bits = __builtin_bswap64(bits);
    char bytes[8];
    std::memcpy(bytes, &bits, 8);
    out.append(bytes, 8);
}

void put_range(std::string& out, double lo, double hi) {
    const auto from = std::bit_cast<std::int64_t>(lo);
    put_fixed(out, from);
    put_signed(out, wrapping_subtract(std::bit_cast<std::int64_t>(hi), from));
}

void put_string(std::string& out, std::string_view text) {
    put_varint(out, text.size());
    out.append(text);
}

void put_name(std::string& out, Name name, Name previous) {
    put_varint(out, static_cast<std::uint64_t>(static_cast<std::int64_t>(name) - previous));
}

// Reals are ordered by their bits: any strict order serves, and this one also takes values that
// compare equal or not at all apart.
std::int64_t bits(double value) {
    return std::bit_cast<std::int64_t>(value);
}

auto columns(const TokenRow& row) {
    return std::tuple(row.param, row.value);
}
auto columns(const StringRow& row) {
    return std::tuple(row.param, std::string_view(row.folded), std::string_view(row.exact));
}
auto columns(const DateRow& row) {
    return std::tuple(row.param, row.lo, row.hi);
}
auto columns(const NumberRow& row) {
    return std::tuple(row.param, bits(row.lo), bits(row.hi));
}
auto columns(const QuantityRow& row) {
    return std::tuple(row.param, row.unit, bits(row.lo), bits(row.hi));
}
auto columns(const ResolvedReference& row) {
    return std::tuple(row.param, row.target);
}
auto columns(const UriRow& row) {
    return std::tuple(row.param, std::string_view(row.uri));
}
auto columns(const CompositeRow& row) {
    return std::tuple(row.param, row.key, row.second, bits(row.lo), bits(row.hi),
                      std::string_view(row.folded));
}
auto columns(const Name& param) {
    return std::tuple(param);
}
auto columns(const ResolvedPatient& row) {
    return std::tuple(row.patient, row.code, row.date);
}
auto columns(const ViewRow& row) {
    return std::tuple(row.view, std::string_view(row.key));
}
auto columns(const std::string& key) {
    return std::tuple(std::string_view(key));
}

// Each coder writes one row against the row before it (a row of zeros before the first).
void put_row(std::string& out, const TokenRow& row, const TokenRow& previous) {
    put_name(out, row.param, previous.param);
    put_fixed(out, row.value);
}
void put_row(std::string& out, const StringRow& row, const StringRow& previous) {
    put_name(out, row.param, previous.param);
    put_string(out, row.folded);
    if (row.exact == row.folded) {
        put_varint(out, 0);
    } else {
        put_varint(out, row.exact.size() + 1);
        out.append(row.exact);
    }
}
void put_row(std::string& out, const DateRow& row, const DateRow& previous) {
    put_name(out, row.param, previous.param);
    put_signed(out, wrapping_subtract(row.lo, previous.lo));
    put_varint(out, static_cast<std::uint64_t>(wrapping_subtract(row.hi, row.lo)));
}
void put_row(std::string& out, const NumberRow& row, const NumberRow& previous) {
    put_name(out, row.param, previous.param);
    put_range(out, row.lo, row.hi);
}
void put_row(std::string& out, const QuantityRow& row, const QuantityRow& previous) {
    put_name(out, row.param, previous.param);
    put_name(out, row.unit, 0);
    put_range(out, row.lo, row.hi);
}
void put_row(std::string& out, const ResolvedReference& row, const ResolvedReference& previous) {
    put_name(out, row.param, previous.param);
    put_signed(out, wrapping_subtract(row.target, previous.target));
}
void put_row(std::string& out, const UriRow& row, const UriRow& previous) {
    put_name(out, row.param, previous.param);
    put_string(out, row.uri);
}
void put_row(std::string& out, const CompositeRow& row, const CompositeRow& previous) {
    put_name(out, row.param, previous.param);
    put_fixed(out, row.key);
    unsigned char parts = 0;
    if (row.second != 0) parts |= CompositeWalker::has_second;
    if (bits(row.lo) != 0 || bits(row.hi) != 0) parts |= CompositeWalker::has_range;
    if (!row.folded.empty()) parts |= CompositeWalker::has_folded;
    out.push_back(static_cast<char>(parts));
    if ((parts & CompositeWalker::has_second) != 0) put_signed(out, row.second);
    if ((parts & CompositeWalker::has_range) != 0) put_range(out, row.lo, row.hi);
    if ((parts & CompositeWalker::has_folded) != 0) put_string(out, row.folded);
}
void put_row(std::string& out, const Name& param, const Name& previous) {
    put_name(out, param, previous);
}
void put_row(std::string& out, const ResolvedPatient& row, const ResolvedPatient& previous) {
    put_signed(out, wrapping_subtract(row.patient, previous.patient));
    out.push_back(row.code == 0 ? 0 : 1);
    if (row.code != 0) put_fixed(out, row.code);
    put_signed(out, wrapping_subtract(row.date, previous.date));
}
void put_row(std::string& out, const ViewRow& row, const ViewRow& previous) {
    put_name(out, row.view, previous.view);
    put_string(out, row.key);
}
void put_row(std::string& out, const std::string& key, const std::string&) {
    put_string(out, key);
}

void put_section(std::string& out, Section kind, std::string_view content) {
    if (content.empty()) return;
    out.push_back(static_cast<char>(kind));
    put_string(out, content);
}

/// Sorted and without repetition: the same set of rows always gives the same bytes.
template <class Row>
void put_rows(std::string& out, Section kind, const std::vector<Row>& rows) {
    if (rows.empty()) return;
    std::vector<const Row*> sorted;
    sorted.reserve(rows.size());
    for (const Row& row : rows) sorted.push_back(&row);
    std::sort(sorted.begin(), sorted.end(),
              [](const Row* a, const Row* b) { return columns(*a) < columns(*b); });
    std::string content;
    const Row nothing{};
    const Row* previous = nullptr;
    for (const Row* row : sorted) {
        if (previous != nullptr && columns(*previous) == columns(*row)) continue;
        put_row(content, *row, previous == nullptr ? nothing : *previous);
        previous = row;
    }
    put_section(out, kind, content);
}

/// The first compartment is the home patient, so their order is kept.
void put_compartments(std::string& out, const std::vector<Rid>& compartments) {
    std::string content;
    Rid previous = 0;
    std::unordered_set<Rid> seen;
    for (const Rid patient : compartments) {
        if (!seen.insert(patient).second) continue;
        put_signed(content, wrapping_subtract(patient, previous));
        previous = patient;
    }
    put_section(out, Section::compartments, content);
}

/// Runs `walker` to its end; false when it meets damage.
template <class Walker, class Take>
bool walk(Walker walker, Take take) {
    while (walker.next()) take(walker);
    return !walker.in.damaged();
}

bool unpack_values(const ForwardView& view, ResolvedRows& rows) {
    return walk(view.tokens(), [&](auto& row) { rows.tokens.push_back({row.param, row.value}); }) &&
           walk(view.strings(),
                [&](auto& row) {
                    rows.strings.push_back(
                        {row.param, std::string(row.folded), std::string(row.exact)});
                }) &&
           walk(view.dates(),
                [&](auto& row) { rows.dates.push_back({row.param, row.lo, row.hi}); }) &&
           walk(view.numbers(),
                [&](auto& row) { rows.numbers.push_back({row.param, row.lo, row.hi}); }) &&
           walk(view.quantities(),
                [&](auto& row) {
                    rows.quantities.push_back({row.param, row.unit, row.lo, row.hi});
                }) &&
           walk(view.references(),
                [&](auto& row) { rows.references.push_back({row.param, row.target}); }) &&
           walk(view.uris(),
                [&](auto& row) { rows.uris.push_back({row.param, std::string(row.uri)}); }) &&
           walk(view.composites(), [&](auto& row) {
               rows.composites.push_back(
                   {row.param, row.key, row.second, row.lo, row.hi, std::string(row.folded)});
           });
}

bool unpack_places(const ForwardView& view, ResolvedRows& rows) {
    return walk(view.texts(), [&](auto& row) { rows.texts.push_back(row.param); }) &&
           walk(view.patients(),
                [&](auto& row) { rows.patients.push_back({row.patient, row.code, row.date}); }) &&
           walk(view.compartments(),
                [&](auto& row) { rows.compartments.push_back(row.patient); }) &&
           walk(view.views(),
                [&](auto& row) { rows.views.push_back({row.view, std::string(row.key), {}}); }) &&
           walk(view.unique_keys(), [&](auto& row) { rows.unique_keys.emplace_back(row.key); });
}

}  // namespace

ForwardView::ForwardView(std::string_view bytes) {
    ByteReader in(bytes);
    if (in.byte() != forward_format) in.damage();
    unsigned previous = 0;
    while (!in.at_end()) {
        const unsigned kind = in.byte();
        if (kind <= previous || kind > section_last) {
            in.damage();
            break;
        }
        sections_[kind] = in.string();
        previous = kind;
    }
    damaged_ = in.damaged();
}

std::string pack(const ResolvedRows& rows) {
    std::string out(1, static_cast<char>(forward_format));
    put_rows(out, Section::tokens, rows.tokens);
    put_rows(out, Section::strings, rows.strings);
    put_rows(out, Section::dates, rows.dates);
    put_rows(out, Section::numbers, rows.numbers);
    put_rows(out, Section::quantities, rows.quantities);
    put_rows(out, Section::references, rows.references);
    put_rows(out, Section::uris, rows.uris);
    put_rows(out, Section::composites, rows.composites);
    put_rows(out, Section::texts, rows.texts);
    put_rows(out, Section::patients, rows.patients);
    put_compartments(out, rows.compartments);
    put_rows(out, Section::views, rows.views);
    put_rows(out, Section::unique_keys, rows.unique_keys);
    return out;
}

Result<ResolvedRows> unpack(std::string_view bytes) {
    const ForwardView view(bytes);
    ResolvedRows rows;
    if (view.damaged() || !unpack_values(view, rows) || !unpack_places(view, rows)) {
        return fail(Category::fault,
                    "the packed index rows of a resource are damaged; run `meridian check`, then "
                    "`meridian reindex`");
    }
    return rows;
}

}  // namespace meridian::store
