// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "fhir/repository.hpp"
#include "fhir/search/query.hpp"
#include "fhir/terminology/code_system.hpp"
#include "fhir/terminology/concept_map.hpp"
#include "fhir/terminology/value_set.hpp"

namespace meridian::fhir::terminology {

/// Versions of code systems that a caller asks for, as "system|version"
/// (https://hl7.org/fhir/R4/valueset-operation-expand.html).
struct SystemVersions {
    std::vector<std::string> otherwise{};  ///< system-version: where the value set names none
    std::vector<std::string> check{};      ///< check-system-version: any other one is an error
    std::vector<std::string> force{};      ///< force-system-version: whatever the value set names
    bool empty() const { return otherwise.empty() && check.empty() && force.empty(); }
};

/// The code systems, value sets and concept maps that this server knows: those of the R4
/// specification and those stored in the record, which come first. Loaded when first asked for,
/// kept in memory, and loaded anew after a newer version was written: every answer is at least as
/// new as the last write that was acknowledged before the question. Thread-safe.
class Terminology : public search::ConceptSource, public Library {
 public:
    /// `repository` null = the specification alone. The repository must outlive this.
    explicit Terminology(Repository* repository);
    ~Terminology() override;

    /// A canonical may end in "|version". Errors: `not_found`; what the resource itself is wrong
    /// in. Blocking: reads the store, loads.
    Result<std::shared_ptr<const CodeSystem>> code_system(
        std::string_view url, std::string_view version = {}) const override;
    Result<std::shared_ptr<const ValueSet>> value_set(std::string_view canonical) const;
    Result<std::shared_ptr<const ConceptMap>> concept_map(std::string_view canonical) const;
    /// Every concept map here.
    Result<std::vector<std::shared_ptr<const ConceptMap>>> concept_maps() const;
    /// A ValueSet that is not stored, or a known one under other versions of its systems.
    Result<std::shared_ptr<const ValueSet>> compile(const Json& value_set,
                                                    const SystemVersions& versions = {}) const;
    /// The ValueSet resource itself. Errors: `not_found`.
    Result<JsonDocument> value_set_resource(std::string_view canonical) const;
    /// A conformance resource of any type (StructureDefinition …) with this canonical: stored, else
    /// of the specification. Errors: `not_found`.
    Result<JsonDocument> resource(std::string_view type, std::string_view canonical) const;
    /// Changes whenever a resource of `type` is written. Never for a Terminology without
    /// repository.
    std::int64_t generation(std::string_view type) const;

    /// Whether a code is in a value set: for bindings. `system` empty = not stated.
    Contained contains(std::string_view value_set, std::string_view system,
                       std::string_view code) const;

    // --- search::ConceptSource ---
    Result<std::vector<Concept>> expand(std::string_view value_set) const override;
    Result<std::vector<Concept>> below(std::string_view system,
                                       std::string_view code) const override;
    Result<std::vector<Concept>> above(std::string_view system,
                                       std::string_view code) const override;

    // --- Library ---
    Result<std::shared_ptr<const ValueSet>> import(std::string_view canonical,
                                                   std::vector<std::string>& path) const override;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace meridian::fhir::terminology
