// SPDX-License-Identifier: Apache-2.0
#include "rest/terminology/operations.hpp"
#include "rest/terminology/parameters_out.hpp"

namespace meridian::rest::terminology {

using fhir::terminology::ConceptIndex;
using fhir::terminology::no_concept;

Result<Answer> subsumes(Service& service, const Terminology& terminology,
                        const Exchange& exchange) {
    const Arguments arguments = TRY(Arguments::read(exchange));
    TRY(arguments.allow("codeA codeB system version codingA codingB"));
    std::string_view left = arguments.text("codeA"), right = arguments.text("codeB"),
                     system = arguments.text("system");
    if (const Json *a = arguments.value("codingA"), *b = arguments.value("codingB");
        a != nullptr && b != nullptr) {
        left = a->string_at("code");
        right = b->string_at("code");
        system = a->string_at("system");
        if (system != b->string_at("system"))
            return fail(Category::incorrect,
                        "codingA and codingB are of different systems: nothing is said about "
                        "subsumption across systems",
                        "codingB");
    }
    if (left.empty() || right.empty())
        return fail(Category::incorrect,
                    "expected codeA and codeB (with system), or codingA and codingB");
    const auto codes = TRY(
        system_asked(service, terminology, exchange, arguments, system, arguments.text("version")));
    const ConceptIndex a = codes->find(left), b = codes->find(right);
    if (a == no_concept || b == no_concept)
        return fail(Category::not_found,
                    fmt::format("{} has no code \"{}\"", codes->url(),
                                (a == no_concept ? left : right).substr(0, 80)));
    Out out;
    out.add_text("outcome", "valueCode",
                 a == b                  ? "equivalent"
                 : codes->subsumes(a, b) ? "subsumes"
                 : codes->subsumes(b, a) ? "subsumed-by"
                                         : "not-subsumed");
    return out.answer();
}

}  // namespace meridian::rest::terminology
