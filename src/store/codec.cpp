// SPDX-License-Identifier: Apache-2.0
#include "store/codec.hpp"

#include <zstd.h>

#include "base/limits.hpp"
#include "store/dictionaries.hpp"

namespace meridian::store {

namespace {

// The stored form: one tag byte, stamp_at as varint, for `with_dictionary` the dictionary's id as
// varint, then the bytes.
enum Tag : unsigned char { plain = 0, compressed = 1, with_dictionary = 2 };

// Level 1 to 3 differ by a tenth in size on resources of one to four kilobytes; level 1 leaves the
// time to the index rows.
constexpr int compression_level = 1;

struct CompressorFree {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct DecompressorFree {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

/// One dictionary, digested for both directions. Never freed: contexts of other threads may be
/// using it.
struct Dictionary {
    std::uint32_t id;
    std::string bytes;
    ZSTD_CDict* compressor;
    ZSTD_DDict* decompressor;
};

struct Registry {
    std::shared_mutex mutex;
    std::vector<std::unique_ptr<Dictionary>> owned;
    std::unordered_map<std::uint32_t, const Dictionary*> by_id;
    std::map<std::string, const Dictionary*, std::less<>> by_type;
};

/// The caller alone sees `all`, or holds its lock.
void add(Registry& all, std::uint32_t id, std::string_view type, std::string_view bytes) {
    auto dictionary =
        std::make_unique<Dictionary>(Dictionary{id, std::string(bytes), nullptr, nullptr});
    dictionary->compressor = ZSTD_createCDict(bytes.data(), bytes.size(), compression_level);
    dictionary->decompressor = ZSTD_createDDict(bytes.data(), bytes.size());
    all.by_id[id] = dictionary.get();
    all.by_type.insert_or_assign(std::string(type), dictionary.get());
    all.owned.push_back(std::move(dictionary));
}

Registry& registry() {
    // Never destroyed, like the dictionaries in it: threads may outlive the end of main.
    static Registry& instance = []() -> Registry& {
        Registry& made = *new Registry;
        for (const auto& shipped : shipped_dictionaries())
            add(made, shipped.id, shipped.type, shipped.bytes);
        return made;
    }();
    return instance;
}

const Dictionary* dictionary_of(std::string_view type) {
    Registry& all = registry();
    const std::shared_lock lock(all.mutex);
    const auto found = all.by_type.find(type);
    return found == all.by_type.end() ? nullptr : found->second;
}

const Dictionary* dictionary_with(std::uint32_t id) {
    Registry& all = registry();
    const std::shared_lock lock(all.mutex);
    const auto found = all.by_id.find(id);
    return found == all.by_id.end() ? nullptr : found->second;
}

/// What one thread needs while it compresses: some megabytes, which is why the many threads that
/// wait for the disk do not keep one each.
struct Compressor {
    std::unique_ptr<ZSTD_CCtx, CompressorFree> context{ZSTD_createCCtx()};
    std::string scratch{};  ///< grows to a large body's size; saves a zeroed allocation each time
};
struct Decompressor {
    std::unique_ptr<ZSTD_DCtx, DecompressorFree> context{ZSTD_createDCtx()};
};

/// Tools that threads take and give back; the one used last, still in the cache, goes out first.
template <class Tool>
class Shelf {
 public:
    class Loan {
     public:
        explicit Loan(Shelf& shelf) : shelf_(shelf), tool_(shelf.take()) {}
        ~Loan() { shelf_.give_back(std::move(tool_)); }
        Loan(const Loan&) = delete;
        Loan& operator=(const Loan&) = delete;
        Tool* operator->() { return tool_.get(); }

     private:
        Shelf& shelf_;
        std::unique_ptr<Tool> tool_;
    };
    static Shelf& instance() {
        static Shelf shelf;
        return shelf;
    }

 private:
    static constexpr std::size_t kept_max = 16;

    std::unique_ptr<Tool> take() {
        {
            const std::lock_guard lock(mutex_);
            if (!idle_.empty()) {
                auto tool = std::move(idle_.back());
                idle_.pop_back();
                return tool;
            }
        }
        return std::make_unique<Tool>();
    }
    void give_back(std::unique_ptr<Tool> tool) {
        const std::lock_guard lock(mutex_);
        if (idle_.size() < kept_max) idle_.push_back(std::move(tool));
    }

    std::mutex mutex_;
    std::vector<std::unique_ptr<Tool>> idle_;
};

template <class Tool>
typename Shelf<Tool>::Loan borrow() {
    return typename Shelf<Tool>::Loan(Shelf<Tool>::instance());
}

void put_varint(std::uint64_t value, std::string& out) {
    while (value >= 0x80) {
        out.push_back(static_cast<char>(value | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<char>(value));
}

bool take_varint(std::string_view& bytes, std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (bytes.empty()) return false;
        const auto byte = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
        value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

std::unexpected<Error> damaged(const char* what) {
    return fail(Category::fault,
                fmt::format("a stored body is damaged: {}; run `meridian check`", what));
}

/// The parts of a stored body.
struct Frame {
    Tag tag = plain;
    std::uint64_t stamp_at = 0;
    const Dictionary* dictionary = nullptr;
    std::string_view payload;
    std::size_t plain_bytes = 0;
};

Result<Frame> read_frame(std::string_view stored) {
    Frame frame;
    if (stored.empty()) return damaged("it is empty");
    const auto tag = static_cast<unsigned char>(stored.front());
    stored.remove_prefix(1);
    if (tag > with_dictionary) return damaged("its tag is unknown");
    frame.tag = static_cast<Tag>(tag);
    if (!take_varint(stored, frame.stamp_at)) return damaged("it ends early");
    if (frame.tag == with_dictionary) {
        std::uint64_t id = 0;
        if (!take_varint(stored, id) || id > UINT32_MAX) return damaged("it ends early");
        frame.dictionary = dictionary_with(static_cast<std::uint32_t>(id));
        if (frame.dictionary == nullptr) {
            return fail(Category::fault,
                        fmt::format("a stored body needs the compression dictionary {}, which this "
                                    "program does not have",
                                    id));
        }
    }
    frame.payload = stored;
    if (frame.tag == plain) {
        frame.plain_bytes = stored.size();
    } else {
        const unsigned long long size = ZSTD_getFrameContentSize(stored.data(), stored.size());
        if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
            return damaged("its compressed part is no zstd frame");
        if (size > limits::resource_bytes_max)
            return fail(
                Category::too_large,
                fmt::format("a stored body has {} bytes, more than limits::resource_bytes_max",
                            size));
        frame.plain_bytes = size;
    }
    if (frame.stamp_at > frame.plain_bytes) return damaged("the place of its meta lies outside");
    return frame;
}

/// Writes the plain bytes of `frame` to `out`, which has room for frame.plain_bytes.
Result<void> expand(const Frame& frame, char* out) {
    if (frame.tag == plain) {
        std::memcpy(out, frame.payload.data(), frame.payload.size());
        return {};
    }
    auto tool = borrow<Decompressor>();
    const std::size_t size =
        frame.dictionary == nullptr
            ? ZSTD_decompressDCtx(tool->context.get(), out, frame.plain_bytes, frame.payload.data(),
                                  frame.payload.size())
            : ZSTD_decompress_usingDDict(tool->context.get(), out, frame.plain_bytes,
                                         frame.payload.data(), frame.payload.size(),
                                         frame.dictionary->decompressor);
    if (ZSTD_isError(size) != 0) return damaged(ZSTD_getErrorName(size));
    if (size != frame.plain_bytes) return damaged("its length is not the one it names");
    return {};
}

/// The two members of meta that the store adds.
std::string stamp(Version version, Instant updated) {
    return fmt::format(R"("versionId":"{}","lastUpdated":"{}")", version, to_text(updated));
}

}  // namespace

std::string encode(std::string_view type, std::string_view json, std::size_t stamp_at) {
    const Dictionary* dictionary = dictionary_of(type);
    std::string out;
    out.push_back(static_cast<char>(dictionary == nullptr ? compressed : with_dictionary));
    put_varint(stamp_at, out);
    if (dictionary != nullptr) put_varint(dictionary->id, out);
    const std::size_t head = out.size();
    auto tool = borrow<Compressor>();
    std::string& scratch = tool->scratch;
    const std::size_t bound = ZSTD_compressBound(json.size());
    if (scratch.size() < bound) scratch.resize(bound);
    const std::size_t size =
        dictionary == nullptr
            ? ZSTD_compressCCtx(tool->context.get(), scratch.data(), bound, json.data(),
                                json.size(), compression_level)
            : ZSTD_compress_usingCDict(tool->context.get(), scratch.data(), bound, json.data(),
                                       json.size(), dictionary->compressor);
    if (ZSTD_isError(size) == 0 && size < json.size()) {
        out.reserve(head + size);
        out.append(scratch.data(), size);
    } else {
        out.clear();
        out.push_back(static_cast<char>(plain));
        put_varint(stamp_at, out);
        out.append(json);
    }
    if (scratch.size() > (4u << 20)) std::string().swap(scratch);
    return out;
}

Result<PlainBody> decode(std::string_view stored) {
    const Frame frame = TRY(read_frame(stored));
    PlainBody body;
    body.stamp_at = frame.stamp_at;
    body.json.resize(frame.plain_bytes);
    TRY(expand(frame, body.json.data()));
    return body;
}

void compose(std::string_view json, std::size_t stamp_at, Version version, Instant updated,
             std::string& out) {
    const std::string text = stamp(version, updated);
    out.reserve(out.size() + json.size() + text.size() + 1);
    out.append(json.substr(0, stamp_at));
    out.append(text);
    const std::string_view rest = json.substr(stamp_at);
    if (!rest.empty() && rest.front() != '}') out.push_back(',');
    out.append(rest);
}

Result<std::string> decode_stamped(std::string_view stored, Version version, Instant updated) {
    const Frame frame = TRY(read_frame(stored));
    const std::string text = stamp(version, updated);
    // The plain bytes go to the end of the answer; then only the short head moves to the front.
    std::string out;
    const std::size_t gap = text.size() + 1;
    out.resize(gap + frame.plain_bytes);
    TRY(expand(frame, out.data() + gap));
    std::memmove(out.data(), out.data() + gap, frame.stamp_at);
    const bool comma = frame.stamp_at < frame.plain_bytes && out[gap + frame.stamp_at] != '}';
    std::memcpy(out.data() + frame.stamp_at, text.data(), text.size());
    if (comma) {
        out[frame.stamp_at + text.size()] = ',';
    } else {
        out.erase(frame.stamp_at + text.size(), 1);
    }
    return out;
}

Result<void> register_dictionary(std::uint32_t id, std::string_view type, std::string_view bytes) {
    if (id == 0) return fail(Category::incorrect, "a compression dictionary cannot have the id 0");
    Registry& all = registry();
    const std::unique_lock lock(all.mutex);
    if (const auto found = all.by_id.find(id); found != all.by_id.end()) {
        if (found->second->bytes != bytes) {
            return fail(
                Category::incorrect,
                fmt::format("the compression dictionary {} is registered with other bytes", id));
        }
        all.by_type.insert_or_assign(std::string(type), found->second);
        return {};
    }
    add(all, id, type, bytes);
    return {};
}

}  // namespace meridian::store
