// SPDX-License-Identifier: Apache-2.0
// JSON parsing in two stages. simdjson's first stage checks UTF-8 and finds the start of every
// token outside strings with vector instructions; the second stage, here, walks those starts once
// and builds nodes bottom-up: the children of open containers lie on one scratch stack and move to
// the document's memory when their container closes.
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cstddef>

#include "base/json.hpp"
#include "base/json_arena.hpp"
#include "base/json_place.hpp"
#include "base/limits.hpp"
#include "base/message.hpp"
#include "base/utf8.hpp"

namespace meridian {

namespace {

using simdjson::internal::dom_parser_implementation;

/// One place on the scratch stack: a node, or a key that stands before its node.
struct alignas(8) Slot {
    std::byte bytes[16];
};
static_assert(sizeof(JsonMember) == 2 * sizeof(Slot) &&
              offsetof(JsonMember, value) == sizeof(Slot));

/// What a thread keeps between two texts so that a small one costs no allocation but its own
/// document.
struct Workspace {
    std::unique_ptr<dom_parser_implementation> tokenizer;
    std::size_t text_capacity = 0;
    std::unique_ptr<Slot[]> slots;
    std::size_t slot_capacity = 0;

    static constexpr std::size_t kept_text_bytes_max = 8u << 20;

    simdjson::error_code prepare_tokenizer(std::size_t text_bytes) {
        if (text_bytes <= text_capacity && tokenizer != nullptr) return simdjson::SUCCESS;
        const std::size_t wished = std::bit_ceil(std::max<std::size_t>(text_bytes, 64u << 10));
        text_capacity = 0;
        // The second stage of simdjson, which alone needs a depth, is not used.
        const auto error = simdjson::get_active_implementation()->create_dom_parser_implementation(
            wished, 1, tokenizer);
        if (error == simdjson::SUCCESS) text_capacity = wished;
        return error;
    }

    Slot* prepare_slots(std::size_t count) {
        if (count > slot_capacity) {
            slot_capacity = std::bit_ceil(count);
            slots = std::make_unique_for_overwrite<Slot[]>(slot_capacity);
        }
        return slots.get();
    }

    /// Gives back what only a very large text needed.
    void trim() {
        if (text_capacity <= kept_text_bytes_max) return;
        tokenizer.reset();
        slots.reset();
        text_capacity = slot_capacity = 0;
    }
};

thread_local Workspace workspace;

bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// The end of the number that starts at `at`, or nullptr when there is none. Stops at `end` at the
/// latest. Source: RFC 8259 §6.
const char* end_of_number(const char* at, const char* end) {
    const auto digits = [&] {
        const char* const start = at;
        while (at != end && is_digit(*at)) ++at;
        return at != start;
    };
    if (at != end && *at == '-') ++at;
    if (at != end && *at == '0') {
        ++at;
    } else if (!digits()) {
        return nullptr;
    }
    if (at != end && *at == '.') {
        ++at;
        if (!digits()) return nullptr;
    }
    if (at != end && (*at == 'e' || *at == 'E')) {
        ++at;
        if (at != end && (*at == '+' || *at == '-')) ++at;
        if (!digits()) return nullptr;
    }
    return at;
}

/// Value of four hexadecimal digits, or -1.
int hexadecimal(const char* at, const char* end) {
    if (end - at < 4) return -1;
    int value = 0;
    for (int i = 0; i < 4; ++i) {
        const char c = at[i];
        const int digit = is_digit(c)            ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

/// Reads the \uXXXX at `at` (the 'u'), and its second half when it is a surrogate pair; moves `at`
/// behind it. Returns a negative value for a malformed escape or a lone surrogate.
std::int32_t unicode_escape(const char*& at, const char* end) {
    const int first = hexadecimal(at + 1, end);
    if (first < 0 || (first >= 0xDC00 && first <= 0xDFFF)) return -1;
    if (first < 0xD800 || first > 0xDBFF) {
        at += 5;
        return first;
    }
    if (end - at < 11 || at[5] != '\\' || at[6] != 'u') return -1;
    const int second = hexadecimal(at + 7, end);
    if (second < 0xDC00 || second > 0xDFFF) return -1;
    at += 11;
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

char simple_escape(char c) {
    switch (c) {
        case '"':
            return '"';
        case '\\':
            return '\\';
        case '/':
            return '/';
        case 'b':
            return '\b';
        case 'f':
            return '\f';
        case 'n':
            return '\n';
        case 'r':
            return '\r';
        case 't':
            return '\t';
        default:
            return '\0';
    }
}

}  // namespace

bool is_json_number(std::string_view text) {
    const char* const end = text.data() + text.size();
    return !text.empty() && end_of_number(text.data(), end) == end;
}

/// The second stage for one text. Fields hold the state of the walk; `failed` sets the error and
/// ends it.
struct JsonBuilder {
    explicit JsonBuilder(std::string_view text) : source(text) {}

    Result<JsonDocument> build();

 private:
    struct Frame {
        Slot* start;             ///< the container's first child on the stack
        std::uint64_t key_mask;  ///< one bit per key seen: a clear bit proves that a key is new
        bool is_object;
    };
    enum class Step { value, after_value, key, done, failed };

    Result<void> tokenize();
    Step value();
    Step after_value();
    Step key();
    Step open(char bracket);
    Step close();
    Step failed(std::size_t offset, std::string message);
    Step unexpected(std::string_view expected);
    bool read_string(std::string_view& out);
    bool unescape(char* start, char* end, std::string_view& out);
    bool read_number(Json& node);
    bool is_word(std::string_view word);
    bool is_new_key(std::string_view name, std::uint64_t& mask);
    bool are_keys_unique(const Frame& frame);
    Step node_done(const Json& node) {
        new (top++) Json(node);
        return after_value();
    }
    std::string found(std::size_t offset) const;
    char token() const { return buffer[*next]; }
    std::unexpected<Error> failure(std::size_t offset, std::string_view message) const;

    /// Above this many members keys are compared once, sorted, when the object closes.
    static constexpr std::ptrdiff_t direct_members_max = 64;

    std::string_view source;
    JsonDocument document;
    char* buffer =
        nullptr;  ///< the document's own copy of the text; escaped strings are unescaped in it
    const std::uint32_t* next =
        nullptr;  ///< start of the next token; the last one is the end of the text
    const std::uint32_t* past = nullptr;
    char* next_backslash = nullptr;
    Slot* top = nullptr;
    std::size_t depth = 0;
    Frame frames[limits::json_depth_max];
    std::size_t error_offset = 0;
    std::string error_message;
};

std::unexpected<Error> JsonBuilder::failure(std::size_t offset, std::string_view message) const {
    const JsonPlace place = place_in_json(source, offset);
    return fail(Category::incorrect,
                fmt::format("{} (line {}, column {})", message, place.line, place.column),
                place.path);
}

/// Runs the first stage and lays out the document's memory.
Result<void> JsonBuilder::tokenize() {
    if (workspace.prepare_tokenizer(source.size()) != simdjson::SUCCESS) throw std::bad_alloc();
    const auto error =
        workspace.tokenizer->stage1(reinterpret_cast<const std::uint8_t*>(source.data()),
                                    source.size(), simdjson::stage1_mode::regular);
    switch (error) {
        case simdjson::SUCCESS:
            break;
        case simdjson::EMPTY:
            return fail(Category::incorrect, "the JSON text is empty");
        case simdjson::UTF8_ERROR:
            return failure(valid_utf8_length(source),
                           "the text is not UTF-8: a byte that belongs to no character");
        case simdjson::UNCLOSED_STRING: {
            std::size_t start = 0;
            bool inside = false;
            for (std::size_t at = 0; at < source.size(); ++at) {
                if (inside && source[at] == '\\') {
                    ++at;
                } else if (source[at] == '"') {
                    inside = !inside;
                    start = at;
                }
            }
            return failure(start, "a string that starts here has no closing '\"'");
        }
        case simdjson::UNESCAPED_CHARS: {
            std::size_t at = 0;
            for (bool inside = false; at < source.size(); ++at) {
                if (inside && static_cast<unsigned char>(source[at]) < 0x20) break;
                if (source[at] == '"') inside = !inside;
                if (inside && source[at] == '\\') ++at;
            }
            return failure(
                at, "a control character in a string must be written as an escape such as \\n");
        }
        default:
            return fail(Category::fault, simdjson::error_message(error));
    }

    const std::size_t tokens = workspace.tokenizer->n_structural_indexes;
    next = workspace.tokenizer->structural_indexes.get();
    past = next + tokens;
    workspace.tokenizer->structural_indexes[tokens] = static_cast<std::uint32_t>(source.size());
    // A member has four tokens (key, colon, value, comma) and two slots, an item two tokens and one
    // slot: half a slot per token is enough for the stack and for all nodes together, so nothing
    // below checks for room.
    const std::size_t slots = tokens / 2 + 4;
    top = workspace.prepare_slots(slots);
    // Unescaping may look 8 bytes past a key, and the end must read as '\0'.
    constexpr std::size_t padding = 16;
    auto& arena = *document.arena_;
    arena.add_block(source.size() + padding + slots * sizeof(Slot));
    buffer = arena.allocate(source.size() + padding, 1);
    std::memcpy(buffer, source.data(), source.size());
    std::memset(buffer + source.size(), 0, padding);
    next_backslash = static_cast<char*>(std::memchr(buffer, '\\', source.size()));
    return {};
}

Result<JsonDocument> JsonBuilder::build() {
    TRY(tokenize());
    Step step = Step::value;
    while (true) {
        switch (step) {
            case Step::value:
                step = value();
                break;
            case Step::after_value:
                step = after_value();
                break;
            case Step::key:
                step = key();
                break;
            case Step::done:
                if (next != past) {
                    return failure(*next,
                                   fmt::format("the text goes on after its end: {}", found(*next)));
                }
                document.root_ = *reinterpret_cast<Json*>(top - 1);
                return std::move(document);
            case Step::failed:
                return failure(error_offset, error_message);
        }
    }
}

JsonBuilder::Step JsonBuilder::failed(std::size_t offset, std::string message) {
    error_offset = offset;
    error_message = std::move(message);
    return Step::failed;
}

/// What stands at `offset`, short and printable.
std::string JsonBuilder::found(std::size_t offset) const {
    if (offset >= source.size()) return "the text ends";
    const auto is_word_character = [](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    constexpr std::size_t word_bytes_max = 12;
    std::size_t end = offset;
    while (end < source.size() && end - offset < word_bytes_max && is_word_character(source[end]))
        ++end;
    if (end != offset) return fmt::format("\"{}\"", source.substr(offset, end - offset));
    const char c = source[offset];
    if (c > 0x20 && c < 0x7F) return fmt::format("'{}'", c);
    return fmt::format("byte 0x{:02X}", static_cast<unsigned char>(c));
}

JsonBuilder::Step JsonBuilder::unexpected(std::string_view expected) {
    return failed(*next,
                  fmt::format("expected {}, found {}", expected,
                              *next >= source.size() ? "the end of the text" : found(*next)));
}

JsonBuilder::Step JsonBuilder::value() {
    Json node;
    switch (token()) {
        case '"': {
            std::string_view text;
            if (!read_string(text)) return Step::failed;
            node.kind_ = Json::Kind::string;
            node.size_ = static_cast<std::uint32_t>(text.size());
            node.text_ = text.data();
            return node_done(node);
        }
        case '{':
        case '[':
            return open(token());
        case 't':
        case 'f':
            node.kind_ = Json::Kind::boolean;
            node.flag_ = token() == 't';
            return is_word(node.flag_ ? "true" : "false") ? node_done(node) : unexpected("a value");
        case 'n':
            return is_word("null") ? node_done(node) : unexpected("a value");
        case '-':
        case '0':
        case '1':
        case '2':
        case '3':
        case '4':
        case '5':
        case '6':
        case '7':
        case '8':
        case '9':
            return read_number(node) ? node_done(node) : Step::failed;
        default:
            return unexpected("a value");
    }
}

JsonBuilder::Step JsonBuilder::open(char bracket) {
    if (depth == limits::json_depth_max) {
        return failed(*next, fmt::format("nested deeper than {} levels", limits::json_depth_max));
    }
    ++next;
    const bool is_object = bracket == '{';
    frames[depth++] = {.start = top, .key_mask = 0, .is_object = is_object};
    if (token() == (is_object ? '}' : ']')) return close();
    return is_object ? Step::key : Step::value;
}

JsonBuilder::Step JsonBuilder::after_value() {
    if (depth == 0) return Step::done;
    const bool is_object = frames[depth - 1].is_object;
    if (token() == ',') {
        ++next;
        return is_object ? Step::key : Step::value;
    }
    if (token() == (is_object ? '}' : ']')) return close();
    return unexpected(is_object ? "',' or '}' after a member" : "',' or ']' after an item");
}

JsonBuilder::Step JsonBuilder::close() {
    const Frame& frame = frames[--depth];
    Json node;
    const auto slots = top - frame.start;
    if (frame.is_object) {
        if (slots > 2 * direct_members_max && !are_keys_unique(frame)) return Step::failed;
        node.kind_ = Json::Kind::object;
        node.size_ = static_cast<std::uint32_t>(slots / 2);
        node.members_ = document.arena_->nodes<JsonMember>(node.size_);
        if (slots != 0)
            std::memcpy(static_cast<void*>(node.members_), frame.start,
                        static_cast<std::size_t>(slots) * sizeof(Slot));
    } else {
        node.kind_ = Json::Kind::array;
        node.size_ = static_cast<std::uint32_t>(slots);
        node.items_ = document.arena_->nodes<Json>(node.size_);
        if (slots != 0)
            std::memcpy(static_cast<void*>(node.items_), frame.start,
                        static_cast<std::size_t>(slots) * sizeof(Slot));
    }
    ++next;
    top = frame.start;
    new (top++) Json(node);
    return Step::after_value;
}

JsonBuilder::Step JsonBuilder::key() {
    if (token() != '"') return unexpected("a key in double quotes");
    std::string_view name;
    const std::size_t offset = *next;
    if (!read_string(name)) return Step::failed;
    if (token() != ':') return unexpected("':' after a key");
    if (!is_new_key(name, frames[depth - 1].key_mask)) {
        return failed(offset, fmt::format("the key \"{}\" stands twice in one object",
                                          shown_in_message(name)));
    }
    ++next;
    new (top++) std::string_view(name);
    return Step::value;
}

/// Reads the string token at `next`: its closing quote is the last character before the next token
/// that is no white space.
bool JsonBuilder::read_string(std::string_view& out) {
    char* const start = buffer + *next + 1;
    char* end = buffer + next[1] - 1;
    while (end >= start && is_space(*end)) --end;
    if (end < start || *end != '"') {
        failed(*next, "this string is not closed properly");
        return false;
    }
    ++next;
    if (next_backslash == nullptr || next_backslash >= end) [[likely]] {
        out = {start, static_cast<std::size_t>(end - start)};
        return true;
    }
    return unescape(start, end, out);
}

/// Unescapes the string in place: what it means is never longer than what is written.
bool JsonBuilder::unescape(char* start, char* end, std::string_view& out) {
    char* to = next_backslash;
    const char* from = next_backslash;
    while (from < end) {
        const char* const backslash =
            static_cast<const char*>(std::memchr(from, '\\', static_cast<std::size_t>(end - from)));
        const char* const plain_end = backslash != nullptr ? backslash : end;
        std::memmove(to, from, static_cast<std::size_t>(plain_end - from));
        to += plain_end - from;
        if (backslash == nullptr) break;
        from = backslash + 1;
        if (*from == 'u') {
            const std::int32_t code_point = unicode_escape(from, end);
            if (code_point < 0) {
                failed(static_cast<std::size_t>(backslash - buffer),
                       "a \\u escape that names no character");
                return false;
            }
            to = write_utf8(to, static_cast<char32_t>(code_point));
        } else {
            const char meaning = simple_escape(*from++);
            if (meaning == '\0') {
                failed(static_cast<std::size_t>(backslash - buffer),
                       "an unknown escape after '\\'");
                return false;
            }
            *to++ = meaning;
        }
    }
    out = {start, static_cast<std::size_t>(to - start)};
    next_backslash = static_cast<char*>(
        std::memchr(end, '\\', static_cast<std::size_t>(buffer + source.size() - end)));
    return true;
}

bool JsonBuilder::read_number(Json& node) {
    const char* const start = buffer + *next;
    const char* const limit = buffer + next[1];
    const char* const end = end_of_number(start, limit);
    if (end == nullptr || (end != limit && !is_space(*end))) {
        failed(*next, "a malformed number");
        return false;
    }
    const auto length = static_cast<std::size_t>(end - start);
    if (length > limits::number_length_max) {
        failed(*next, fmt::format("a number longer than {} characters", limits::number_length_max));
        return false;
    }
    node.kind_ = Json::Kind::number;
    node.size_ = static_cast<std::uint32_t>(length);
    node.text_ = start;
    ++next;
    return true;
}

/// True, and one token further, when exactly `word` stands here.
bool JsonBuilder::is_word(std::string_view word) {
    const std::size_t length = next[1] - *next;
    if (length < word.size() || std::memcmp(buffer + *next, word.data(), word.size()) != 0)
        return false;
    if (length > word.size() && !is_space(buffer[*next + word.size()])) return false;
    ++next;
    return true;
}

bool JsonBuilder::is_new_key(std::string_view name, std::uint64_t& mask) {
    const Slot* const start = frames[depth - 1].start;
    if (top - start > 2 * direct_members_max)
        return true;  // are_keys_unique looks when the object closes
    // A hash of the first 8 bytes and the length; the text is padded, so they can always be read.
    std::uint64_t word;
    std::memcpy(&word, name.data(), 8);
    if (name.size() < 8) word &= (std::uint64_t{1} << (8 * name.size())) - 1;
    const std::uint64_t bit = std::uint64_t{1}
                              << (((word + name.size()) * 0x9E3779B97F4A7C15u) >> 58);
    if ((mask & bit) == 0) {
        mask |= bit;
        return true;
    }
    for (const Slot* slot = start; slot != top; slot += 2) {
        if (*reinterpret_cast<const std::string_view*>(slot) == name) return false;
    }
    return true;
}

bool JsonBuilder::are_keys_unique(const Frame& frame) {
    std::vector<std::string_view> names;
    names.reserve(static_cast<std::size_t>(top - frame.start) / 2);
    for (const Slot* slot = frame.start; slot != top; slot += 2) {
        names.push_back(*reinterpret_cast<const std::string_view*>(slot));
    }
    std::ranges::sort(names);
    const auto twin = std::ranges::adjacent_find(names);
    if (twin == names.end()) return true;
    const char* const place = std::max(twin[0].data(), twin[1].data());
    failed(static_cast<std::size_t>(place - buffer) - 1,
           fmt::format("the key \"{}\" stands twice in one object", shown_in_message(*twin)));
    return false;
}

Result<JsonDocument> JsonDocument::parse(std::string_view text) {
    if (text.size() > limits::json_bytes_max) {
        return fail(Category::too_large,
                    fmt::format("the JSON text has {} bytes, at most {} are read", text.size(),
                                limits::json_bytes_max));
    }
    // RFC 8259 §8.1: a parser may ignore a byte order mark.
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (text.empty()) return fail(Category::incorrect, "the JSON text is empty");
    auto document = JsonBuilder(text).build();
    workspace.trim();
    return document;
}

}  // namespace meridian
