// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace meridian {

/// What kind of failure an Error is. Mapped to an HTTP status in one place (rest/outcome.cpp) and
/// to an exit code in one place (cli/exit_code.hpp).
enum class Category : unsigned char {
    incorrect,          ///< the input cannot be understood: 400
    unauthenticated,    ///< nobody has said who is asking: 401
    forbidden,          ///< the caller may not do this: 403
    not_found,          ///< there is no such thing: 404
    not_allowed,        ///< the operation does not exist here: 405
    unacceptable,       ///< no offered format suits the client: 406
    conflict,           ///< it contradicts what is stored: 409
    gone,               ///< it was there and was deleted: 410
    precondition,       ///< the caller's condition does not hold, or several match: 412
    too_large,          ///< a limit of base/limits.hpp is exceeded: 413
    unsupported_media,  ///< the body's format is not one we read: 415
    unprocessable,      ///< understood, but breaks a rule of FHIR or of a profile: 422
    busy,               ///< too much work is waiting; try again: 429/503 with Retry-After
    unsupported,        ///< known, but not done by this server: 501
    unavailable,        ///< a needed part is down (store, disk, peer): 503
    storage_full,       ///< no space left to write: 507
    fault,              ///< a defect of ours: 500
};

/// The word for a category, e.g. "not_found".
const char* name_of(Category category);
/// The category of that name; `fault` for a word that names none.
Category category_named(std::string_view name);

enum class Severity : unsigned char { fatal, error, warning, information };

/// One finding about a faulty input, as an OperationOutcome.issue: an operation that fails is an
/// Error, a faulty resource is a list of issues.
struct Issue {
    Severity severity = Severity::error;
    std::string code;     ///< FHIR issue-type code, e.g. "structure", "value", "code-invalid"
    std::string message;  ///< one sentence that names what was found and what was expected
    std::string path;     ///< FHIRPath-like place, e.g. "Patient.name[0].given[1]"
};

/// Why an operation failed. The message is one sentence for a person, free of patient data where it
/// leaves the server.
struct Error {
    Category category = Category::fault;
    std::string message;
    std::string where{};  ///< the place in the input or the part that failed; may be empty
    /// Detailed findings when the cause is a faulty resource; null otherwise.
    std::shared_ptr<const std::vector<Issue>> issues{};
};

/// A value or the reason why there is none. Never drop one unread.
template <class T>
using Result = std::expected<T, Error>;

/// Makes the failed side of any Result: `return fail(Category::incorrect, "…",
/// "Patient.birthDate");`
[[nodiscard]] inline std::unexpected<Error> fail(Category category, std::string message,
                                                 std::string where = {}) {
    return std::unexpected<Error>(Error{category, std::move(message), std::move(where), nullptr});
}

/// `auto value = TRY(expression);` takes the value out of a Result or returns its Error to the
/// caller.
#define TRY(...) MERIDIAN_TRY_NAMED(__COUNTER__, __VA_ARGS__)
#define MERIDIAN_TRY_NAMED(number, ...) MERIDIAN_TRY_AS(number, __VA_ARGS__)
#define MERIDIAN_TRY_AS(number, ...)                                        \
    ({                                                                      \
        auto&& try_result_##number = (__VA_ARGS__);                         \
        if (!try_result_##number) [[unlikely]]                              \
            return std::unexpected(std::move(try_result_##number).error()); \
        ::meridian::detail::take(std::move(try_result_##number));           \
    })

namespace detail {
template <class T>
T take(std::expected<T, Error>&& result) {
    if constexpr (std::is_void_v<T>) {
        return;
    } else {
        return *std::move(result);
    }
}
}  // namespace detail

}  // namespace meridian
