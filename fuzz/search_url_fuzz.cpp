// SPDX-License-Identifier: Apache-2.0
// The search URL as a stranger writes it: "Type?query". Whatever it says, parsing ends with a query
// or an error.
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/query_string.hpp"
#include "fhir/search/conditional.hpp"
#include "fhir/search/query.hpp"
#include "fhir/search/run.hpp"

namespace {

using namespace meridian;

/// Dictionaries in memory; a query must not need to grow them.
class FuzzNames : public store::Names {
 public:
    store::Name intern(store::NameKind kind, std::string_view text) override {
        auto& ids = ids_[kind];
        auto& texts = texts_[kind];
        const auto [found, is_new] = ids.emplace(text, static_cast<store::Name>(texts.size() + 1));
        if (is_new) texts.emplace_back(text);
        return found->second;
    }
    store::Name find(store::NameKind kind, std::string_view text) const override {
        const auto ids = ids_.find(kind);
        if (ids == ids_.end()) return 0;
        const auto found = ids->second.find(text);
        return found == ids->second.end() ? 0 : found->second;
    }
    std::string text(store::NameKind kind, store::Name name) const override {
        const auto texts = texts_.find(kind);
        return texts == texts_.end() ? std::string()
                                     : texts->second.at(static_cast<std::size_t>(name) - 1);
    }
    std::vector<store::Name> all(store::NameKind kind) const override {
        std::vector<store::Name> names;
        const auto texts = texts_.find(kind);
        for (std::size_t i = 0; texts != texts_.end() && i < texts->second.size(); ++i) {
            names.push_back(static_cast<store::Name>(i + 1));
        }
        return names;
    }
    std::size_t coding_count() const override {
        return all(store::NameKind::system).size() + all(store::NameKind::unit).size();
    }
    const SipKey& token_key() const override { return key_; }

 private:
    std::map<store::NameKind, std::map<std::string, store::Name, std::less<>>> ids_;
    std::map<store::NameKind, std::vector<std::string>> texts_;
    SipKey key_{7};
};

class FuzzTimeline : public fhir::search::Timeline {
 public:
    Result<store::Position> first_from(Instant instant) const override {
        return std::max<std::int64_t>(0, instant.milliseconds / 1000);
    }
};

struct World {
    FuzzNames names;
    FuzzTimeline timeline;
    std::shared_ptr<const fhir::search::Parameters> parameters;
    World() {
        names.intern(store::NameKind::system, "http://loinc.org");
        names.intern(store::NameKind::unit, "http://unitsofmeasure.org|mg");
        parameters = fhir::search::Parameters::make(fhir::definitions(), names);
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static World world;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::size_t question = std::min(input.find('?'), input.size());
    const auto query = parse_query_string(input.substr(std::min(question + 1, input.size())));
    if (!query) return 0;
    fhir::search::ParseOptions options;
    options.timeline = &world.timeline;
    options.lenient = size % 2 == 0;
    options.now = Instant{1'700'000'000'000};
    const auto parsed = fhir::search::parse(*world.parameters, world.names,
                                            input.substr(0, question), *query, options);
    if (parsed) {
        for (const auto& filter : parsed->types) (void)fhir::search::clone(filter.where);
        // What was really used is a query again.
        if (!parse_query_string(parsed->self)) __builtin_trap();
    } else if (parsed.error().message.empty()) {
        __builtin_trap();
    }
    (void)fhir::search::conditional_plan(*world.parameters, world.names, input.substr(0, question),
                                         *query, options);
    (void)fhir::search::parse_conditional_reference(input);
    return 0;
}
