// SPDX-License-Identifier: Apache-2.0
#include "server/doctor/disk_encryption.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "base/file.hpp"
#include "server/limits.hpp"

namespace meridian::server {

namespace {

namespace fs = std::filesystem;

struct Mount {
    std::string device;  ///< "253:1"
    std::string point;
    std::string type;
    std::string source;
};

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(separator), text.size());
        if (end > 0) parts.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

/// "\040" is a space: mountinfo and swaps write blanks and backslashes in octal (proc(5)).
std::string unescaped(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned code = 0;
        if (text[i] == '\\' && i + 3 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr ==
                text.data() + i + 4) {
            out += static_cast<char>(code);
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

/// One line of mountinfo; nothing for one that is not understood.
std::optional<Mount> parse_mount(std::string_view line) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) return std::nullopt;
    const auto front = split(line.substr(0, dash), ' ');
    const auto back = split(line.substr(dash + 3), ' ');
    if (front.size() < 6 || back.size() < 2) return std::nullopt;
    return Mount{std::string(front[2]), unescaped(front[4]), std::string(back[0]),
                 unescaped(back[1])};
}

bool holds(const std::string& point, const std::string& path) {
    return point == "/" || path == point ||
           (path.starts_with(point) && path.size() > point.size() && path[point.size()] == '/');
}

/// The mount that `path` is reached through: the deepest; of two at one place the later.
Result<Mount> mount_of(const std::string& path, const KernelRoots& roots) {
    const std::string file = roots.proc + "/self/mountinfo";
    const std::string text = TRY(read_file(file, limits::doctor_file_bytes_max));
    std::optional<Mount> found;
    for (const std::string_view line : split(text, '\n')) {
        auto mount = parse_mount(line);
        if (!mount || !holds(mount->point, path)) continue;
        if (!found || mount->point.size() >= found->point.size()) found = std::move(mount);
    }
    if (!found) return fail(Category::unavailable, fmt::format("no mount holds {}", path), file);
    return *std::move(found);
}

/// First line of a small file of the kernel's; empty when it is not there.
std::string attribute(const fs::path& path) {
    const auto text = read_file(path.string(), limits::doctor_file_bytes_max);
    return text ? text->substr(0, text->find('\n')) : std::string();
}

/// Follows one question down the devices.
class Walk {
 public:
    explicit Walk(const KernelRoots& roots) : roots_(roots) {}

    EncryptionReport of_path(const std::string& path, unsigned depth) {
        const auto mount = mount_of(path, roots_);
        if (!mount) return unknown(fmt::format("{}: {}", path, mount.error().message));
        return of_mount(*mount, depth);
    }

    EncryptionReport of_mount(const Mount& mount, unsigned depth) {
        for (const std::string_view type : {"tmpfs", "ramfs"}) {
            if (mount.type == type)
                return {Encryption::in_memory,
                        fmt::format("{} is a {}: it lies in memory and is gone after a restart",
                                    mount.point, type)};
        }
        if (mount.type == "zfs")
            return unknown(mount.point +
                           " is ZFS, which encrypts by dataset: `zfs get encryption` tells");
        if (mount.type == "btrfs")
            return unknown(mount.point +
                           " is Btrfs, which may lie on several devices: look at each of `btrfs "
                           "filesystem show`");
        const std::string name = name_of_device(mount.device);
        if (name.empty())
            return unknown(
                fmt::format("{} is {} from \"{}\", which is no block device of this "
                            "machine",
                            mount.point, mount.type, mount.source));
        return of_device(name, depth);
    }

    /// A swap area or another thing that is named by its file below /dev.
    EncryptionReport of_device_file(const std::string& file, unsigned depth) {
        std::error_code error;
        const fs::path real = fs::weakly_canonical(file, error);
        const std::string name = (error ? fs::path(file) : real).filename().string();
        return of_device(name, depth);
    }

 private:
    static EncryptionReport unknown(std::string sentence) {
        return {Encryption::cannot_tell, std::move(sentence)};
    }
    fs::path folder_of(const std::string& name) const {
        return fs::path(roots_.sys) / "class" / "block" / name;
    }

    std::string name_of_device(const std::string& number) {
        if (number.starts_with("0:")) return {};  // an anonymous one: no block device
        std::error_code error;
        for (const auto& entry :
             fs::directory_iterator(fs::path(roots_.sys) / "class" / "block", error)) {
            if (++looked_at_ > limits::doctor_devices_max) break;
            if (attribute(entry.path() / "dev") == number) return entry.path().filename().string();
        }
        return {};
    }

    /// cryptsetup names its mappings CRYPT-LUKS2-…, CRYPT-PLAIN-…; verity, integrity and the parts
    /// of a mapping encrypt nothing by themselves.
    static bool is_encrypting(std::string_view uuid) {
        if (!uuid.starts_with("CRYPT-")) return false;
        return std::ranges::none_of(
            std::array<std::string_view, 3>{"CRYPT-VERITY-", "CRYPT-INTEGRITY-", "CRYPT-SUBDEV-"},
            [&](std::string_view other) { return uuid.starts_with(other); });
    }

    EncryptionReport of_device(const std::string& name, unsigned depth) {
        if (depth > limits::doctor_devices_deep_max || ++looked_at_ > limits::doctor_devices_max)
            return unknown(fmt::format("more devices lie below {} than are looked at", name));
        std::error_code error;
        const fs::path folder = folder_of(name);
        if (!fs::exists(folder, error))
            return unknown(fmt::format("the kernel shows nothing of the device {}", name));
        const std::string uuid = attribute(folder / "dm" / "uuid");
        if (is_encrypting(uuid))
            return {Encryption::on, fmt::format("{} ({}) is encrypted by dm-crypt", name,
                                                attribute(folder / "dm" / "name"))};
        if (name.starts_with("zram")) return of_memory_device(folder, name, depth);
        if (const std::string file = attribute(folder / "loop" / "backing_file"); !file.empty())
            return of_path(file, depth + 1);
        if (fs::exists(folder / "partition", error)) {
            const fs::path whole = fs::canonical(folder, error).parent_path();
            if (!error) return of_device(whole.filename().string(), depth + 1);
        }
        std::vector<std::string> below;
        for (const auto& entry : fs::directory_iterator(folder / "slaves", error))
            below.push_back(entry.path().filename().string());
        if (!below.empty()) return of_all(name, below, depth + 1);
        if (name.starts_with("nbd") || name.starts_with("rbd") || name.starts_with("drbd"))
            return unknown(name + " lies on another machine");
        return {Encryption::off,
                name +
                    " is a plain disk as far as this machine can see (a hypervisor or the disk "
                    "itself may encrypt below)"};
    }

    /// Compressed memory; pages that it puts aside may lie on a disk.
    EncryptionReport of_memory_device(const fs::path& folder, const std::string& name,
                                      unsigned depth) {
        const std::string backing = attribute(folder / "backing_dev");
        if (backing.empty() || backing == "none")
            return {Encryption::in_memory, name + " is compressed memory"};
        return of_device_file(backing, depth + 1);
    }

    /// What lies on several devices is encrypted when each is.
    EncryptionReport of_all(const std::string& name, const std::vector<std::string>& below,
                            unsigned depth) {
        EncryptionReport worst{Encryption::on, ""};
        for (const std::string& device : below) {
            EncryptionReport one = of_device(device, depth);
            const bool is_worse =
                (one.encryption == Encryption::off && worst.encryption != Encryption::off) ||
                (one.encryption == Encryption::cannot_tell && worst.encryption == Encryption::on);
            if (worst.sentence.empty() || is_worse) worst = std::move(one);
        }
        worst.sentence = fmt::format("{} lies on {}", name, worst.sentence);
        return worst;
    }

    const KernelRoots& roots_;
    unsigned looked_at_ = 0;
};

/// Whether the file system itself encrypts what is made in a folder (fscrypt).
bool is_under_fscrypt(const std::string& folder) {
    struct statx status{};
    return ::statx(AT_FDCWD, folder.c_str(), 0, STATX_TYPE, &status) == 0 &&
           (status.stx_attributes & STATX_ATTR_ENCRYPTED) != 0;
}

}  // namespace

Result<EncryptionReport> encryption_under(const std::string& folder, const KernelRoots& roots) {
    const Mount mount = TRY(mount_of(folder, roots));
    EncryptionReport report = Walk(roots).of_mount(mount, 0);
    if (report.encryption == Encryption::off && is_under_fscrypt(folder))
        return EncryptionReport{Encryption::cannot_tell,
                                fmt::format("{} is encrypted by its file system (fscrypt); whether "
                                            "all below it is, cannot be told",
                                            folder)};
    return report;
}

Result<std::vector<EncryptionReport>> encryption_of_swap(const KernelRoots& roots) {
    const std::string text = TRY(read_file(roots.proc + "/swaps", limits::doctor_file_bytes_max));
    std::vector<EncryptionReport> reports;
    bool is_header = true;
    for (const std::string_view line : split(text, '\n')) {
        std::string spaced(line);
        std::ranges::replace(spaced, '\t', ' ');
        const auto words = split(spaced, ' ');
        if (std::exchange(is_header, false) || words.size() < 2) continue;
        const std::string file = unescaped(words[0]);
        Walk walk(roots);
        EncryptionReport report =
            words[1] == "file" ? walk.of_path(file, 0) : walk.of_device_file(file, 0);
        report.sentence = fmt::format("swap on {}: {}", file, report.sentence);
        reports.push_back(std::move(report));
    }
    return reports;
}

}  // namespace meridian::server
