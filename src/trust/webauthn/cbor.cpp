// SPDX-License-Identifier: Apache-2.0
#include "trust/webauthn/cbor.hpp"

#include <cbor.h>

#include "base/utf8.hpp"
#include "trust/limits.hpp"

namespace meridian::trust {

namespace {

std::unexpected<Error> bad(std::string message) {
    return fail(Category::incorrect, std::move(message), "cbor");
}

/// What libcbor's decoder said about one head: it calls exactly one callback for each.
struct Head {
    enum class Kind : unsigned char { none, refused, value, array, map };
    Kind kind = Kind::none;
    Cbor value{};
    std::size_t count = 0;
};

Head& head_of(void* context) {
    return *static_cast<Head*>(context);
}

void unsigned_number(void* context, std::uint64_t number) {
    Head& head = head_of(context);
    head.kind = number > INT64_MAX ? Head::Kind::refused : Head::Kind::value;
    head.value.kind = Cbor::Kind::integer;
    head.value.number = static_cast<std::int64_t>(number & INT64_MAX);
}

/// RFC 8949 §3.1: major type 1 means -1 - number.
void negative_number(void* context, std::uint64_t number) {
    unsigned_number(context, number);
    Head& head = head_of(context);
    head.value.number = -1 - head.value.number;
}

void string(void* context, Cbor::Kind kind, cbor_data data, std::size_t size) {
    Head& head = head_of(context);
    head.kind = Head::Kind::value;
    head.value.kind = kind;
    head.value.string.assign(reinterpret_cast<const char*>(data), size);
}

void refused(void* context) {
    head_of(context).kind = Head::Kind::refused;
}

const cbor_callbacks& callbacks() {
    static const cbor_callbacks table = {
        .uint8 = [](void* c, auto n) { unsigned_number(c, n); },
        .uint16 = [](void* c, auto n) { unsigned_number(c, n); },
        .uint32 = [](void* c, auto n) { unsigned_number(c, n); },
        .uint64 = [](void* c, auto n) { unsigned_number(c, n); },
        .negint64 = [](void* c, auto n) { negative_number(c, n); },
        .negint32 = [](void* c, auto n) { negative_number(c, n); },
        .negint16 = [](void* c, auto n) { negative_number(c, n); },
        .negint8 = [](void* c, auto n) { negative_number(c, n); },
        .byte_string_start = refused,
        .byte_string = [](void* c, cbor_data d, auto n) { string(c, Cbor::Kind::bytes, d, n); },
        .string = [](void* c, cbor_data d, auto n) { string(c, Cbor::Kind::text, d, n); },
        .string_start = refused,
        .indef_array_start = refused,
        .array_start =
            [](void* c, auto n) {
                head_of(c).kind = Head::Kind::array;
                head_of(c).count = n;
            },
        .indef_map_start = refused,
        .map_start =
            [](void* c, auto n) {
                head_of(c).kind = Head::Kind::map;
                head_of(c).count = n;
            },
        .tag = [](void* c, std::uint64_t) { refused(c); },
        .float2 = [](void* c, float) { refused(c); },
        .float4 = [](void* c, float) { refused(c); },
        .float8 = [](void* c, double) { refused(c); },
        .undefined = refused,
        .null =
            [](void* c) {
                head_of(c).kind = Head::Kind::value;
                head_of(c).value.kind = Cbor::Kind::null;
            },
        .boolean =
            [](void* c, bool flag) {
                head_of(c).kind = Head::Kind::value;
                head_of(c).value.kind = Cbor::Kind::boolean;
                head_of(c).value.flag = flag;
            },
        .indef_break = refused,
    };
    return table;
}

/// Whether the head's argument is written in the fewest bytes (RFC 8949 §4.2.1). The lower five
/// bits say how many bytes follow: 24 one, 25 two, 26 four, 27 eight.
bool is_shortest_argument(std::string_view bytes) {
    const unsigned additional = static_cast<unsigned char>(bytes[0]) & 31u;
    if (additional < 24 || additional > 27) return true;
    const std::size_t length = std::size_t{1} << (additional - 24);
    std::uint64_t argument = 0;
    for (std::size_t i = 1; i <= length && i < bytes.size(); ++i)
        argument = argument << 8 | static_cast<unsigned char>(bytes[i]);
    constexpr std::uint64_t least[] = {24, 1u << 8, 1u << 16, 1ull << 32};
    return argument >= least[additional - 24];
}

class Reader {
 public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}
    std::size_t used() const { return used_; }

    Result<Cbor> item(unsigned depth) {
        if (depth > limits::cbor_depth_max) return bad("it is nested too deeply");
        if (++items_ > limits::cbor_items_max) return bad("it has too many items");
        Head head = TRY(next());
        if (head.kind == Head::Kind::value) {
            if (head.value.is(Cbor::Kind::text) && !is_valid_utf8(head.value.string))
                return bad("a text is no UTF-8");
            return std::move(head.value);
        }
        // Each item takes a byte at least: a length beyond the rest is a lie, told before memory is
        // taken.
        if (head.count > bytes_.size() - used_) return bad("it ends too early");
        return head.kind == Head::Kind::array ? array(head.count, depth) : map(head.count, depth);
    }

 private:
    Result<Head> next() {
        Head head;
        const std::string_view rest = bytes_.substr(used_);
        if (rest.empty()) return bad("it ends too early");
        const cbor_decoder_result result = cbor_stream_decode(
            reinterpret_cast<cbor_data>(rest.data()), rest.size(), &callbacks(), &head);
        if (result.status != CBOR_DECODER_FINISHED) return bad("it ends too early or is no CBOR");
        if (head.kind == Head::Kind::none || head.kind == Head::Kind::refused)
            return bad("it holds a kind of item that authenticators do not send");
        if (!is_shortest_argument(rest))
            return bad("a number or length is not in its shortest form");
        used_ += result.read;
        return head;
    }

    Result<Cbor> array(std::size_t count, unsigned depth) {
        Cbor out{.kind = Cbor::Kind::array};
        for (std::size_t i = 0; i < count; ++i) out.items.push_back(TRY(item(depth + 1)));
        return out;
    }

    Result<Cbor> map(std::size_t count, unsigned depth) {
        Cbor out{.kind = Cbor::Kind::map};
        for (std::size_t i = 0; i < count; ++i) {
            Cbor key = TRY(item(depth + 1));
            const bool is_text = key.is(Cbor::Kind::text);
            if (!is_text && !key.is(Cbor::Kind::integer))
                return bad("a key is neither an integer nor a text");
            if ((is_text ? out.find(key.string) : out.find(key.number)) != nullptr)
                return bad("a key stands twice");
            Cbor value = TRY(item(depth + 1));
            out.members.emplace_back(std::move(key), std::move(value));
        }
        return out;
    }

    std::string_view bytes_;
    std::size_t used_ = 0;
    std::size_t items_ = 0;
};

}  // namespace

const Cbor* Cbor::find(std::string_view key) const {
    for (const auto& [name, value] : members) {
        if (name.is(Kind::text) && name.string == key) return &value;
    }
    return nullptr;
}

const Cbor* Cbor::find(std::int64_t key) const {
    for (const auto& [name, value] : members) {
        if (name.is(Kind::integer) && name.number == key) return &value;
    }
    return nullptr;
}

Result<Cbor> read_cbor(std::string_view bytes, std::size_t& used) {
    if (bytes.size() > limits::cbor_bytes_max) return bad("it is too large");
    Reader reader(bytes);
    Cbor value = TRY(reader.item(1));
    used = reader.used();
    return value;
}

Result<Cbor> read_whole_cbor(std::string_view bytes) {
    std::size_t used = 0;
    Cbor value = TRY(read_cbor(bytes, used));
    if (used != bytes.size()) return bad("something follows the item");
    return value;
}

}  // namespace meridian::trust
