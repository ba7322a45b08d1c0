// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

/// Scenario files: requests and what they must answer, as text.
///
///     # a comment
///     name  a conditional create never makes two
///     POST /fhir/Patient   If-None-Exist: identifier=urn:mrn|7   ×64 at once
///       {"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"7"}]}
///     => 201 for all | 200 for all          (status, or several separated by '|'; "for all" of the
///     repetitions)
///     => 200 {"total": 1}                   (JSON subset: objects by members, arrays item by item,
///     "*" = any value,
///                                            "..." as last item = more may follow, "~text" =
///                                            contains)
///     => header ETag: W/"1"                 (exact; "~text" = contains)
///     => absent entry[0].resource.text      (no such place in the answer)
///     => text some words                    (the body contains them)
///     => let id = id                        (takes a place of the answer, or "header Location",
///     into {id})
///     => wait 5 s                           (repeats the request above until it answers so, at
///     most that long)
///
/// Header fields follow the address, separated by three or more spaces. Indented lines are the
/// body, or continue the expectation. {base} is the server's address; {1000×text} repeats the text,
/// {byte FF} is one byte. Each file runs on a server of its own.
namespace meridian::tests {

struct Expectation {
    int line = 0;
    std::string text;
};

struct Step {
    int line = 0;
    std::string method;
    std::string address;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    unsigned times = 1;
    unsigned wait_seconds = 0;
    std::vector<Expectation> expectations;
};

struct Scenario {
    std::string name;
    std::vector<Step> steps;
};

/// Reads the scenarios of one file; `error` says what is wrong with it.
std::vector<Scenario> read_scenarios(const std::string& path, std::string& error);

/// Runs a scenario against `base_url`, with `token` for every request that says not itself who asks
/// (an empty `Authorization:` means nobody). Empty when all is as expected, otherwise "line N: what
/// was expected and what came".
std::string run_scenario(const Scenario& scenario, const std::string& base_url,
                         const std::string& token = {});

}  // namespace meridian::tests
