// SPDX-License-Identifier: Apache-2.0
#include "fhir/search/score.hpp"

#include "fhir/search/extract.hpp"

namespace meridian::fhir::search {
namespace {

void collect(const store::Condition& where, std::vector<store::HasText>& terms) {
    if (const auto* text = std::get_if<store::HasText>(&where.as_variant())) terms.push_back(*text);
    const store::Conditions* parts = nullptr;
    if (const auto* all = std::get_if<store::AllOf>(&where.as_variant())) parts = &all->parts;
    if (const auto* any = std::get_if<store::AnyOf>(&where.as_variant())) parts = &any->parts;
    if (parts == nullptr) return;
    for (const auto& part : *parts) collect(part, terms);
}

/// Occurrences of the term as whole words; the last one may be the start of a longer one.
std::size_t occurrences(const std::string& spaced, const store::HasText& term) {
    const std::string wanted = fmt::format(" {}{}", term.words, term.prefix ? "" : " ");
    std::size_t count = 0;
    for (std::size_t at = spaced.find(wanted); at != std::string::npos;
         at = spaced.find(wanted, at + 1))
        ++count;
    return count;
}

}  // namespace

std::vector<store::HasText> text_terms(const store::Condition& where) {
    std::vector<store::HasText> terms;
    collect(where, terms);
    return terms;
}

double score_of(const std::vector<store::HasText>& terms, const store::Rows& rows) {
    // The usual constants of BM25; the length of a middling clinical note stands for the average,
    // so that a score does not change when other resources do.
    constexpr double saturation = 1.2;
    constexpr double length_weight = 0.75;
    constexpr double words_average = 100;
    double sum = 0;
    for (const store::HasText& term : terms) {
        for (const store::TextRow& row : rows.texts) {
            if (row.param != term.param || term.words.empty()) continue;
            const auto words =
                static_cast<double>(1 + std::count(row.words.begin(), row.words.end(), ' '));
            const double k =
                saturation * (1 - length_weight + length_weight * words / words_average);
            const auto tf = static_cast<double>(occurrences(" " + row.words + " ", term));
            sum += tf / (tf + k);
        }
    }
    return terms.empty() ? 0 : sum / static_cast<double>(terms.size());
}

Result<std::vector<double>> scores(const RunContext& context,
                                   const std::vector<store::HasText>& terms,
                                   std::span<const store::Stored> stored) {
    std::vector<double> found;
    found.reserve(stored.size());
    for (const store::Stored& one : stored) {
        const JsonDocument document = TRY(JsonDocument::parse(TRY(context.read(one))));
        const store::Rows rows =
            extract(context.parameters, context.parameters.type_text(one.type), document.root(),
                    *context.names, {.base_url = context.base_url});
        found.push_back(score_of(terms, rows));
    }
    return found;
}

}  // namespace meridian::fhir::search
