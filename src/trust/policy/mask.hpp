// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "fhir/search/parameters.hpp"

namespace meridian::trust::policy {

/// Elements that a role does not get to see, and the search parameters that would tell of them.
///
/// With a masked element goes what repeats it: the narrative of the resource; beside references to
/// patients their display (when Patient.name is masked) and identifier (when Patient.identifier
/// is). Resources that others contain are masked alike. Immutable.
///
/// Free text of a patient's record is what people wrote in their own words: narratives,
/// annotations, markdown, the contents of attachments, texts of dosages and extensions, and every
/// string that is an element of the resource itself or of one of its parts. What stands beside a
/// code (text, display) is no free text, and neither are names, addresses and identifiers, which
/// masks name.
class Mask {
 public:
    Mask() = default;
    /// `paths`: "Patient.address", "Patient.contact.telecom"; checked by the policy's reader.
    explicit Mask(const std::vector<std::string>& paths, bool free_text = false);

    bool is_empty() const { return paths_.empty() && !free_text_; }
    /// Whether any element of such resources may be withheld, of those they contain also.
    bool concerns(std::string_view type) const { return !type.empty() && !is_empty(); }
    /// Whether bytes that nothing can be taken out of, as a Binary's, may tell what is masked.
    bool hides_content() const { return free_text_ || hides_patient_name_; }
    /// Whether values of the parameter would tell of what is masked.
    bool covers(const fhir::search::Parameters& parameters, std::string_view type,
                std::string_view code) const;
    /// The resource without what is masked; with the tag SUBSETTED in meta when something was left
    /// out. Errors: those of JsonDocument::parse.
    Result<std::string> apply(std::string json) const;

 private:
    using Steps = std::vector<std::string>;
    std::map<std::string, std::vector<Steps>, std::less<>> paths_;  ///< by type
    bool free_text_ = false;
    bool hides_patient_name_ = false;
    bool hides_patient_identifier_ = false;
    class Walk;
};

}  // namespace meridian::trust::policy
