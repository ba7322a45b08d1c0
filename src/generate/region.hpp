// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/instant.hpp"
#include "base/result.hpp"

namespace meridian::generate {

/// What a synthetic region holds. Equal options give equal bytes; a region of fewer patients is a
/// prefix of a larger one.
struct RegionOptions {
    std::uint64_t patients = 300;  ///< at most limits::region_patients_max; the first ten are the
                                   ///< named cast (docs/region.md)
    std::uint64_t seed = 1;
    double english_share = 0.2;  ///< of the patients have English names, hospitals and documents;
                                 ///< the others Chinese ones
    CivilDate as_of = {
        2026, 6, 30};  ///< "today" of the region: nothing but booked appointments lies after it
    int years = 7;     ///< recorded years before `as_of`
};

/// One resource as it leaves the generator. The views live until the sink returns.
struct Item {
    std::string_view type;  ///< "Patient"
    std::string_view id;    ///< "p000017"
    std::uint64_t patient;  ///< number of the patient, 0 for what belongs to the city
    std::string_view json;  ///< minified FHIR R4 JSON without a line end
};

/// Takes what the generator makes, in order of dependency: a reference always points to something
/// given earlier. An error returned by the sink ends the generation and is passed on.
class Sink {
 public:
    virtual ~Sink() = default;
    virtual Result<void> resource(const Item& item) = 0;
    /// The facts of one free-text document with their character spans, as one JSON object
    /// (docs/region.md, "Ground truth"). Follows its DocumentReference at once. Ignored unless
    /// overridden.
    virtual Result<void> truth(std::string_view document_id, std::string_view json);
};

/// A region ready to be written out. Immutable and safe to share between threads: patient k depends
/// on the seed and on k only, so ranges of patients can be generated side by side.
class Region {
 public:
    /// Builds the city. Errors: `incorrect` for options outside their bounds. Blocking: never.
    static Result<Region> create(const RegionOptions& options);
    Region(Region&&) noexcept;
    Region& operator=(Region&&) noexcept;
    ~Region();

    /// Code systems, value sets, organisations, places, people who work there, formulary,
    /// patient-independent groups.
    Result<void> city(Sink& sink) const;
    /// The whole life of patient `number` (from 1). The cast's Group follows the tenth patient.
    Result<void> patient(std::uint64_t number, Sink& sink) const;

 private:
    struct Parts;
    explicit Region(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

/// The city, then patients 1 … `options.patients` one by one, in constant memory.
/// Errors: `incorrect` for options outside their bounds; whatever the sink returns. Blocking: only
/// in the sink.
Result<void> generate(const RegionOptions& options, Sink& sink);

}  // namespace meridian::generate
