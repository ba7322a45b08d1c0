// SPDX-License-Identifier: Apache-2.0
#include "tests/scenario.hpp"

#include <fstream>
#include <future>

#include "base/json.hpp"
#include "net/client.hpp"

namespace meridian::tests {

namespace {

std::string trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
        text.remove_suffix(1);
    return std::string(text);
}

/// Parts of a request line: separated by three or more spaces.
std::vector<std::string> parts_of(std::string_view line) {
    std::vector<std::string> parts;
    while (!line.empty()) {
        const std::size_t end = std::min(line.find("   "), line.size());
        if (std::string part = trimmed(line.substr(0, end)); !part.empty())
            parts.push_back(std::move(part));
        line.remove_prefix(std::min(end + 3, line.size()));
    }
    return parts;
}

bool is_request(std::string_view line) {
    for (const std::string_view method :
         {"GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE ", "OPTIONS "}) {
        if (line.starts_with(method)) return true;
    }
    return false;
}

Step read_request(const std::string& line, int number) {
    Step step;
    step.line = number;
    const std::size_t space = line.find(' ');
    step.method = line.substr(0, space);
    auto parts = parts_of(std::string_view(line).substr(space + 1));
    if (!parts.empty()) step.address = parts.front();
    for (std::size_t i = 1; i < parts.size(); ++i) {
        if (parts[i].starts_with("×")) {
            step.times = static_cast<unsigned>(std::stoul(parts[i].substr(2)));
            continue;
        }
        const std::size_t colon = parts[i].find(':');
        step.headers.emplace_back(parts[i].substr(0, colon),
                                  trimmed(std::string_view(parts[i]).substr(colon + 1)));
    }
    return step;
}

using Variables = std::map<std::string, std::string>;

/// Where the brace that opens at `open` closes; npos when it does not.
std::size_t closing_brace(std::string_view text, std::size_t open) {
    int depth = 0;
    for (std::size_t at = open; at < text.size(); ++at) {
        if (text[at] == '{') ++depth;
        if (text[at] == '}' && --depth == 0) return at;
    }
    return std::string_view::npos;
}

/// "{3×ab}" → "ababab" and "{byte FF}" → that byte: what is too long or not UTF-8 cannot be written
/// out in a scenario.
std::string expanded(std::string_view text) {
    static constexpr std::string_view times = "×", byte = "{byte ";
    std::string out;
    while (!text.empty()) {
        const std::size_t open = std::min(text.find('{'), text.size());
        out += text.substr(0, open);
        text.remove_prefix(open);
        if (text.empty()) break;
        if (text.starts_with(byte)) {
            out +=
                static_cast<char>(std::stoi(std::string(text.substr(byte.size(), 2)), nullptr, 16));
            text.remove_prefix(std::min(byte.size() + 3, text.size()));
            continue;
        }
        const std::size_t digits = std::min(text.find_first_not_of("0123456789", 1), text.size());
        const std::size_t close = closing_brace(text, 0);
        if (digits == 1 || !text.substr(digits).starts_with(times) ||
            close == std::string_view::npos) {
            out += text.front();
            text.remove_prefix(1);
            continue;
        }
        const auto count = std::stoul(std::string(text.substr(1, digits - 1)));
        const std::size_t begin = digits + times.size();
        for (unsigned long i = 0; i < count; ++i) out += text.substr(begin, close - begin);
        text.remove_prefix(close + 1);
    }
    return out;
}

std::string filled(std::string text, const Variables& variables) {
    for (const auto& [name, value] : variables) {
        const std::string placeholder = "{" + name + "}";
        for (std::size_t at = text.find(placeholder); at != std::string::npos;
             at = text.find(placeholder, at + value.size()))
            text.replace(at, placeholder.size(), value);
    }
    return expanded(text);
}

/// "entry[0].resource.id" → the node, or null.
const Json* place_in(const Json& root, std::string_view path) {
    const Json* node = &root;
    while (!path.empty() && node != nullptr) {
        if (path.front() == '[') {
            const std::size_t end = path.find(']');
            const auto index =
                static_cast<std::size_t>(std::stoul(std::string(path.substr(1, end - 1))));
            node = index < node->items().size() ? &node->items()[index] : nullptr;
            path.remove_prefix(end + 1);
        } else {
            const std::size_t end = std::min(path.find_first_of(".["), path.size());
            node = node->find(path.substr(0, end));
            path.remove_prefix(end);
        }
        if (path.starts_with('.')) path.remove_prefix(1);
    }
    return node;
}

bool text_fits(std::string_view wanted, std::string_view found) {
    if (wanted == "*") return true;
    if (wanted.starts_with('~')) return found.find(wanted.substr(1)) != std::string_view::npos;
    return wanted == found;
}

/// Where `found` does not hold what `wanted` asks for; empty when it does.
std::string difference(const Json& wanted, const Json& found, const std::string& path) {
    if (wanted.is_string() && wanted.text() == "*") return {};
    if (wanted.kind() != found.kind())
        return fmt::format("{}: expected {}, found {}", path, to_text(wanted).substr(0, 200),
                           to_text(found).substr(0, 200));
    if (wanted.is_object()) {
        for (const JsonMember& member : wanted.members()) {
            const Json* value = found.find(member.key);
            if (value == nullptr) return fmt::format("{}: there is no \"{}\"", path, member.key);
            if (std::string inner =
                    difference(member.value, *value, path + "." + std::string(member.key));
                !inner.empty())
                return inner;
        }
        return {};
    }
    if (wanted.is_array()) {
        const auto items = wanted.items();
        const bool open_end = !items.empty() && items.back().text() == "...";
        const std::size_t count = items.size() - (open_end ? 1 : 0);
        if (found.size() < count || (!open_end && found.size() != count))
            return fmt::format("{}: expected {} items, found {}", path, count, found.size());
        for (std::size_t i = 0; i < count; ++i) {
            if (std::string inner =
                    difference(items[i], found.items()[i], fmt::format("{}[{}]", path, i));
                !inner.empty())
                return inner;
        }
        return {};
    }
    const bool fits = wanted.is_boolean() ? wanted.boolean() == found.boolean()
                                          : text_fits(wanted.text(), found.text());
    return fits ? std::string()
                : fmt::format("{}: expected {}, found {}", path, to_text(wanted),
                              to_text(found).substr(0, 300));
}

/// Checks one answer against one expectation; takes variables on the way.
class Judge {
 public:
    Judge(const net::ClientAnswer& answer, Variables& variables)
        : answer_(answer), variables_(variables) {
        if (auto document = JsonDocument::parse(answer.body))
            document_ = std::make_unique<JsonDocument>(*std::move(document));
    }

    std::string check(const std::string& expectation) {
        const std::string text = filled(expectation, variables_);
        if (text.starts_with("header ")) return check_header(text.substr(7));
        if (text.starts_with("absent ")) return check_absent(text.substr(7));
        if (text.starts_with("text "))
            return answer_.body.find(trimmed(text.substr(5))) != std::string::npos
                       ? ""
                       : fmt::format("the body does not contain \"{}\": {}",
                                     trimmed(text.substr(5)), answer_.body.substr(0, 400));
        if (text.starts_with("let ")) return take(text.substr(4));
        return check_status(text);
    }

 private:
    std::string check_status(const std::string& text) {
        const std::size_t brace = text.find('{');
        std::string statuses = text.substr(0, brace);
        bool fits = false;
        for (std::size_t at = 0; at < statuses.size(); ++at) {
            if (std::isdigit(static_cast<unsigned char>(statuses[at])) == 0) continue;
            fits = fits || std::stoi(statuses.substr(at)) == answer_.status;
            at += 2;
        }
        if (!fits)
            return fmt::format("expected {}, got {}: {}", trimmed(statuses), answer_.status,
                               answer_.body.substr(0, 600));
        if (brace == std::string::npos) return {};
        const auto wanted = JsonDocument::parse(text.substr(brace));
        if (!wanted) return "the expectation is no JSON: " + wanted.error().message;
        if (!document_) return "the answer is no JSON: " + answer_.body.substr(0, 300);
        return difference(wanted->root(), document_->root(), "$");
    }

    std::string check_header(const std::string& text) {
        const std::size_t colon = text.find(':');
        const std::string name = text.substr(0, colon);
        const std::string wanted = trimmed(std::string_view(text).substr(colon + 1));
        const std::string found = answer_.headers.joined(name);
        return text_fits(wanted, found)
                   ? std::string()
                   : fmt::format("header {}: expected {}, found \"{}\"", name, wanted, found);
    }

    std::string check_absent(const std::string& place) {
        if (!document_) return {};
        const Json* node = place_in(document_->root(), trimmed(place));
        return node == nullptr ? std::string()
                               : fmt::format("{} should not be there: {}", place,
                                             to_text(*node).substr(0, 200));
    }

    std::string take(const std::string& text) {
        const std::size_t equals = text.find('=');
        const std::string name = trimmed(text.substr(0, equals));
        const std::string source = trimmed(text.substr(equals + 1));
        if (source.starts_with("header ")) {
            variables_[name] = answer_.headers.joined(source.substr(7));
            return {};
        }
        const Json* node = document_ ? place_in(document_->root(), source) : nullptr;
        if (node == nullptr)
            return fmt::format("there is no {} to take: {}", source, answer_.body.substr(0, 300));
        variables_[name] =
            node->is_string() || node->is_number() ? std::string(node->text()) : to_text(*node);
        return {};
    }

    const net::ClientAnswer& answer_;
    Variables& variables_;
    std::unique_ptr<JsonDocument> document_;
};

Result<net::ClientAnswer> send(const Step& step, const Variables& variables,
                               const std::string& base_url) {
    net::ClientRequest request;
    request.method = net::method_of(step.method);
    const std::string address = filled(step.address, variables);
    request.url = address.starts_with("http://") ? address : base_url + address;
    request.body = filled(step.body, variables);
    bool has_type = false, says_who = false;
    for (const auto& [name, value] : step.headers) {
        if (!value.empty()) request.headers.add(name, filled(value, variables));
        has_type = has_type || name == "Content-Type";
        says_who = says_who || name == "Authorization";
    }
    const auto token = variables.find("token");
    if (!says_who && token != variables.end() && !token->second.empty())
        request.headers.add("Authorization", "Bearer " + token->second);
    if (!has_type && !request.body.empty())
        request.headers.add("Content-Type", request.body.front() == '<' ? "application/fhir+xml"
                                                                        : "application/fhir+json");
    // A server under a sanitizer that works until it meets a limit takes its time.
    net::Client client({.total_timeout = std::chrono::minutes(3)});
    return client.send(request);
}

std::string judge(const Step& step, const std::vector<net::ClientAnswer>& answers,
                  Variables& variables) {
    for (const net::ClientAnswer& answer : answers) {
        Judge judge(answer, variables);
        for (const Expectation& expectation : step.expectations) {
            if (std::string fault = judge.check(expectation.text); !fault.empty())
                return fmt::format("line {}: {} {}: {}", expectation.line, step.method,
                                   filled(step.address, variables), fault);
        }
    }
    return {};
}

std::string run_step(const Step& step, Variables& variables, const std::string& base_url) {
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(step.wait_seconds);
    while (true) {
        std::vector<std::future<Result<net::ClientAnswer>>> running;
        for (unsigned i = 0; i < step.times; ++i)
            running.push_back(
                std::async(std::launch::async, [&] { return send(step, variables, base_url); }));
        std::vector<net::ClientAnswer> answers;
        for (auto& future : running) {
            auto answer = future.get();
            if (!answer)
                return fmt::format("line {}: {} {}: {}", step.line, step.method, step.address,
                                   answer.error().message);
            answers.push_back(*std::move(answer));
        }
        std::string fault = judge(step, answers, variables);
        if (fault.empty() || std::chrono::steady_clock::now() >= deadline) return fault;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

}  // namespace

std::vector<Scenario> read_scenarios(const std::string& path, std::string& error) {
    std::vector<Scenario> scenarios;
    std::ifstream file(path);
    std::string line;
    int number = 0;
    bool in_expectation = false;
    while (std::getline(file, line)) {
        ++number;
        if (line.ends_with('\r')) line.pop_back();
        if (line.empty() || line.starts_with('#')) continue;
        if (line.starts_with("name ")) {
            scenarios.push_back({trimmed(line.substr(5)), {}});
            continue;
        }
        if (scenarios.empty()) scenarios.push_back({path, {}});
        auto& steps = scenarios.back().steps;
        if (is_request(line)) {
            steps.push_back(read_request(line, number));
            in_expectation = false;
        } else if (steps.empty()) {
            error =
                fmt::format("{}:{}: expected a request such as GET /fhir/Patient", path, number);
            return scenarios;
        } else if (line.starts_with("=> wait ")) {
            steps.back().wait_seconds = static_cast<unsigned>(std::stoul(line.substr(8)));
        } else if (line.starts_with("=>")) {
            steps.back().expectations.push_back({number, trimmed(line.substr(2))});
            in_expectation = true;
        } else if (line.starts_with(' ')) {
            if (in_expectation) {
                steps.back().expectations.back().text += trimmed(line);
            } else {
                if (!steps.back().body.empty()) steps.back().body += "\n";
                steps.back().body += trimmed(line);
            }
        } else {
            error =
                fmt::format("{}:{}: is neither a request, an expectation nor an indented line: {}",
                            path, number, line);
            return scenarios;
        }
    }
    return scenarios;
}

std::string run_scenario(const Scenario& scenario, const std::string& base_url,
                         const std::string& token) {
    Variables variables{{"base", base_url}, {"token", token}};
    for (const Step& step : scenario.steps) {
        if (std::string fault = run_step(step, variables, base_url); !fault.empty()) return fault;
    }
    return {};
}

}  // namespace meridian::tests
