// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/json.hpp"

namespace meridian {

namespace {

/// High bit set in every byte of `word` that must be escaped: below 0x20, '"' or '\\'.
/// Bytes of 0x80 and above never count. (Exact per byte up to the first hit, which is all that is
/// asked of it.)
std::uint64_t escape_bits(std::uint64_t word) {
    constexpr std::uint64_t ones = 0x0101010101010101u;
    constexpr std::uint64_t high = 0x8080808080808080u;
    const std::uint64_t control = word - ones * 0x20;
    const std::uint64_t quote = (word ^ (ones * '"')) - ones;
    const std::uint64_t backslash = (word ^ (ones * '\\')) - ones;
    return (control | quote | backslash) & ~word & high;
}

bool must_escape(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
}

/// The first character of [at, end) that must be escaped, or `end`.
const char* find_escape(const char* at, const char* end) {
    static_assert(std::endian::native == std::endian::little);
    for (; end - at >= 8; at += 8) {
        std::uint64_t word;
        std::memcpy(&word, at, 8);
        if (const std::uint64_t bits = escape_bits(word)) return at + std::countr_zero(bits) / 8;
    }
    while (at != end && !must_escape(*at)) ++at;
    return at;
}

/// Writes behind the end of a string that it keeps larger than its content, so that most pieces are
/// one copy without a call.
class Writer {
 public:
    Writer(std::string& out, bool pretty) : out_(out), pretty_(pretty), used_(out.size()) {
        room(initial_bytes);
    }
    ~Writer() { out_.resize(used_); }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    void value(const Json& node) {
        switch (node.kind()) {
            case Json::Kind::null:
                raw("null");
                break;
            case Json::Kind::boolean:
                raw(node.boolean() ? "true" : "false");
                break;
            case Json::Kind::number:
                raw(node.text());
                break;
            case Json::Kind::string:
                string(node.text());
                break;
            case Json::Kind::array:
                array(node);
                break;
            case Json::Kind::object:
                object(node);
                break;
        }
    }

    void string(std::string_view text) {
        room(text.size() + 2);
        put('"');
        const char* at = text.data();
        const char* const end = at + text.size();
        while (true) {
            const char* const stop = find_escape(at, end);
            copy({at, static_cast<std::size_t>(stop - at)});
            if (stop == end) break;
            constexpr std::size_t escape_bytes_max = 6;
            room(static_cast<std::size_t>(end - stop) + escape_bytes_max + 1);
            escape(*stop);
            at = stop + 1;
        }
        put('"');
    }

 private:
    static constexpr std::size_t initial_bytes = 512;

    void room(std::size_t bytes) {
        if (out_.size() - used_ >= bytes) [[likely]]
            return;
        const std::size_t wished = used_ + bytes <= out_.capacity()
                                       ? out_.capacity()
                                       : std::max(out_.size() * 2, used_ + bytes);
        out_.resize_and_overwrite(wished, [&](char*, std::size_t) { return wished; });
    }
    void put(char c) { out_[used_++] = c; }
    void copy(std::string_view text) {
        if (!text.empty()) std::memcpy(out_.data() + used_, text.data(), text.size());
        used_ += text.size();
    }
    void raw(std::string_view text) {
        room(text.size());
        copy(text);
    }

    void escape(char c) {
        put('\\');
        switch (c) {
            case '"':
            case '\\':
                put(c);
                break;
            case '\b':
                put('b');
                break;
            case '\f':
                put('f');
                break;
            case '\n':
                put('n');
                break;
            case '\r':
                put('r');
                break;
            case '\t':
                put('t');
                break;
            default:
                copy("u00");
                put(c < 0x10 ? '0' : '1');
                put("0123456789abcdef"[c & 0xF]);
        }
    }

    void new_line() {
        if (!pretty_) return;
        room(1 + 2 * depth_);
        put('\n');
        for (std::size_t i = 0; i < 2 * depth_; ++i) put(' ');
    }

    void array(const Json& node) {
        raw("[");
        ++depth_;
        const char* separator = "";
        for (const Json& item : node.items()) {
            raw(separator);
            new_line();
            value(item);
            separator = ",";
        }
        --depth_;
        if (node.size() != 0) new_line();
        raw("]");
    }

    void object(const Json& node) {
        raw("{");
        ++depth_;
        const char* separator = "";
        for (const JsonMember& member : node.members()) {
            raw(separator);
            new_line();
            string(member.key);
            raw(pretty_ ? ": " : ":");
            value(member.value);
            separator = ",";
        }
        --depth_;
        if (node.size() != 0) new_line();
        raw("}");
    }

    std::string& out_;
    const bool pretty_;
    std::size_t used_;
    std::size_t depth_ = 0;
};

}  // namespace

void write(const Json& value, std::string& out, bool pretty) {
    Writer(out, pretty).value(value);
}

std::string to_text(const Json& value, bool pretty) {
    std::string out;
    write(value, out, pretty);
    return out;
}

void write_string(std::string_view value, std::string& out) {
    Writer(out, false).string(value);
}

}  // namespace meridian
