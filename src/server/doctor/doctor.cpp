// SPDX-License-Identifier: Apache-2.0
#include "server/doctor/doctor.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <optional>

#include "base/file.hpp"
#include "net/certificate.hpp"
#include "server/control.hpp"
#include "server/limits.hpp"
#include "store/open.hpp"
#include "trust/limits.hpp"
#include "trust/merkle/checkpoint.hpp"
#include "trust/merkle/keeper.hpp"

namespace meridian::server {

namespace {

namespace fs = std::filesystem;

/// Everything that is looked at goes through here, in the order of the report.
class Examination {
 public:
    Examination(const DoctorOptions& options, std::string folder)
        : options_(options), folder_(std::move(folder)) {}

    std::vector<HostFinding> all() {
        look_at_disk();
        look_at_swap();
        look_at_rights();
        look_at_place_of_keys();
        look_at_clock();
        look_at_space();
        look_at_process();
        look_at_certificate();
        look_at_store();
        look_at_reach();
        return std::move(findings_);
    }

 private:
    void tell(std::string_view about, Judgement judgement, std::string sentence) {
        findings_.push_back({std::string(about), judgement, std::move(sentence)});
    }

    // --- the disk ---

    Judgement judged(const EncryptionReport& report, bool may_lie_in_memory) const {
        switch (report.encryption) {
            case Encryption::on:
                return Judgement::good;
            case Encryption::in_memory:
                return may_lie_in_memory ? Judgement::good : Judgement::mend;
            case Encryption::cannot_tell:
                return options_.is_encrypted_below ? Judgement::good : Judgement::cannot_tell;
            case Encryption::off:
                break;
        }
        return options_.is_encrypted_below ? Judgement::good : Judgement::mend;
    }

    void look_at_disk() {
        const auto report = encryption_under(folder_, options_.roots);
        if (!report) return tell("disk-encryption", Judgement::cannot_tell, report.error().message);
        const Judgement judgement = judged(*report, false);
        std::string sentence = report->sentence;
        if (judgement == Judgement::mend)
            sentence +=
                ": index rows hold clear values (dates, codes, names), so put the data "
                "folder on an encrypted disk, or say --encrypted-below when what is below "
                "encrypts it";
        if (judgement == Judgement::good && report->encryption != Encryption::on)
            sentence += "; you say that what is below encrypts it";
        tell("disk-encryption", judgement, std::move(sentence));
        if (!options_.serving.database.empty())
            tell("database-disk", Judgement::cannot_tell,
                 "the record lies in a database: look at the disks of its machines as well");
    }

    void look_at_swap() {
        const auto reports = encryption_of_swap(options_.roots);
        if (!reports) return tell("swap", Judgement::cannot_tell, reports.error().message);
        if (reports->empty()) return tell("swap", Judgement::good, "there is no swap");
        for (const EncryptionReport& report : *reports) {
            const Judgement judgement = judged(report, true);
            tell("swap", judgement,
                 judgement == Judgement::mend
                     ? report.sentence +
                           ": keys and records in memory may be written there in "
                           "clear; turn it off, or encrypt it"
                     : report.sentence);
        }
    }

    // --- folder and keys ---

    /// Finds fault with what others may open, or what another user owns. True: nothing to mend.
    bool is_private(const std::string& path, uid_t owner) {
        struct stat status{};
        if (::lstat(path.c_str(), &status) != 0) {
            tell("rights", Judgement::cannot_tell,
                 fmt::format("{} cannot be looked at: {}", path, strerror(errno)));
            return false;
        }
        if (S_ISLNK(status.st_mode) && ::stat(path.c_str(), &status) != 0) return true;
        const bool is_folder = S_ISDIR(status.st_mode);
        if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
            tell("rights", Judgement::mend,
                 fmt::format("{} has the mode {:04o}: `chmod {} {}`", path, status.st_mode & 07777u,
                             is_folder ? "700" : "600", path));
            return false;
        }
        if (status.st_uid == owner) return true;
        tell("rights", Judgement::mend,
             fmt::format("{} belongs to the user {}, the data folder to {}", path, status.st_uid,
                         owner));
        return false;
    }

    void look_at_rights() {
        struct stat status{};
        if (::stat(folder_.c_str(), &status) != 0) return;
        bool is_sound = is_private(folder_, status.st_uid);
        const std::string keys = folder_ + "/keys";
        std::error_code error;
        std::size_t count = 0;
        if (fs::exists(keys, error)) is_sound = is_private(keys, status.st_uid) && is_sound;
        for (const auto& entry : fs::directory_iterator(keys, error)) {
            if (++count > limits::doctor_key_files_max) break;
            // Public keys may be seen; everything else there is a secret.
            if (entry.path().extension() == ".pub") continue;
            is_sound = is_private(entry.path().string(), status.st_uid) && is_sound;
        }
        if (!options_.serving.tls_key.empty()) is_sound = look_at_tls_key() && is_sound;
        if (error && fs::exists(keys))
            return tell("rights", Judgement::cannot_tell, keys + " cannot be read by this user");
        if (is_sound)
            tell("rights", Judgement::good,
                 fmt::format("{} and its keys are for the user {} alone", folder_, status.st_uid));
    }

    bool look_at_tls_key() {
        struct stat status{};
        const std::string& path = options_.serving.tls_key;
        if (::stat(path.c_str(), &status) != 0) return true;  // the certificate's part tells
        if ((status.st_mode & (S_IRWXG | S_IRWXO)) == 0) return true;
        tell("rights", Judgement::mend,
             fmt::format("others may read the TLS key {}: `chmod 600 {}`", path, path));
        return false;
    }

    void look_at_place_of_keys() {
        struct stat data{}, keys{};
        const std::string path = folder_ + "/keys";
        if (::stat(path.c_str(), &keys) != 0 || ::stat(folder_.c_str(), &data) != 0)
            return tell("place-of-keys", Judgement::cannot_tell,
                        path + " is not there: nothing was served here with protection yet");
        std::error_code ignored;
        if (fs::exists(path + "/pkcs11.toml", ignored))
            return tell("place-of-keys", Judgement::good,
                        "the key-encryption keys lie in a PKCS#11 token");
        if (keys.st_dev != data.st_dev)
            return tell("place-of-keys", Judgement::good,
                        path + " lies on another file system than the data");
        tell("place-of-keys", Judgement::advice,
             path +
                 " lies on the file system of the data: who takes the disk has both. Mount "
                 "another one there, or keep the keys in a PKCS#11 token");
    }

    // --- the machine ---

    void look_at_clock() {
        const ClockState& clock = options_.clock;
        if (!clock.is_readable)
            return tell("clock", Judgement::cannot_tell, "the kernel does not tell of its clock");
        if (!clock.is_synchronised)
            return tell("clock", Judgement::mend,
                        "the clock is not synchronised: tokens, one-time codes and the audit's "
                        "times need it (chrony, systemd-timesyncd)");
        if (clock.error_milliseconds > limits::doctor_clock_error_milliseconds_max)
            return tell("clock", Judgement::mend,
                        fmt::format("the clock may be wrong by {} ms", clock.error_milliseconds));
        tell("clock", Judgement::good,
             fmt::format("the clock is synchronised, within {} ms", clock.error_milliseconds));
    }

    void look_at_space() {
        struct statvfs disk{};
        if (::statvfs(folder_.c_str(), &disk) != 0 || disk.f_blocks == 0)
            return tell("free-space", Judgement::cannot_tell, "the disk does not tell its size");
        const auto free =
            static_cast<std::int64_t>(disk.f_bavail) * static_cast<std::int64_t>(disk.f_frsize);
        const auto percent = static_cast<unsigned>(disk.f_bavail * 100 / disk.f_blocks);
        const bool is_enough =
            free >= limits::doctor_free_bytes_min && percent >= limits::doctor_free_percent_min;
        tell("free-space", is_enough ? Judgement::good : Judgement::mend,
             fmt::format("{:.1f} GiB ({} %) are free under {}",
                         static_cast<double>(free) / (1 << 30), percent, folder_));
    }

    /// The process at the control socket's other end: the server of this folder.
    std::optional<pid_t> server() const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = control_socket_path(folder_);
        if (path.size() >= sizeof address.sun_path) return std::nullopt;
        path.copy(address.sun_path, path.size());
        const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ucred peer{};
        socklen_t size = sizeof peer;
        const bool is_there =
            ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
            ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0;
        ::close(socket);
        return is_there ? std::optional(peer.pid) : std::nullopt;
    }

    /// One row of /proc/PID/limits: the soft limit, or nothing when it is not there.
    std::optional<std::uint64_t> limit_of(pid_t process, std::string_view row) const {
        const auto text = read_file(fmt::format("{}/{}/limits", options_.roots.proc, process),
                                    limits::doctor_file_bytes_max);
        if (!text) return std::nullopt;
        std::size_t at = text->find(row);
        if (at == std::string::npos) return std::nullopt;
        at = text->find_first_not_of(' ', at + row.size());
        if (at == std::string::npos) return std::nullopt;
        if (text->compare(at, 9, "unlimited") == 0) return UINT64_MAX;
        std::uint64_t value = 0;
        std::from_chars(text->data() + at, text->data() + text->size(), value);
        return value;
    }

    void look_at_process() {
        const auto process = server();
        if (!process) {
            rlimit files{};
            ::getrlimit(RLIMIT_NOFILE, &files);
            tell_of_files(files.rlim_max, "no server runs here; one may");
            return tell("core-dumps", Judgement::cannot_tell,
                        "no server runs here; `serve` turns core dumps off for itself");
        }
        if (const auto files = limit_of(*process, "Max open files"))
            tell_of_files(*files, fmt::format("the server (process {}) may", *process));
        const auto core = limit_of(*process, "Max core file size");
        if (!core)
            return tell("core-dumps", Judgement::cannot_tell, "the server's limits cannot be read");
        tell("core-dumps", *core == 0 ? Judgement::good : Judgement::mend,
             *core == 0 ? "the server writes no core dumps"
                        : "the server may write core dumps, with keys and records in them: "
                          "LimitCORE=0, or `ulimit -c 0`");
    }

    void tell_of_files(std::uint64_t most, std::string_view who) {
        const bool is_enough = most >= limits::doctor_open_files_min;
        tell("open-files", is_enough ? Judgement::good : Judgement::mend,
             fmt::format("{} open {} files{}", who, most,
                         is_enough ? ""
                                   : fmt::format(": it needs {} (LimitNOFILE)",
                                                 limits::doctor_open_files_min)));
    }

    // --- certificate, store, reach ---

    void look_at_certificate() {
        const std::string& file = options_.serving.tls_certificate;
        if (file.empty()) return;
        const auto end = net::certificate_end(file);
        if (!end)
            return tell("certificate", Judgement::mend,
                        fmt::format("{}: {}", file, end.error().message));
        const std::int64_t days = (end->milliseconds - now().milliseconds) / 86'400'000;
        if (end->milliseconds <= now().milliseconds)
            return tell("certificate", Judgement::mend,
                        fmt::format("{} ended on {}", file, to_text(*end).substr(0, 10)));
        tell("certificate",
             days < limits::doctor_certificate_days_min ? Judgement::mend : Judgement::good,
             fmt::format("{} is good for {} days more", file, days));
    }

    void look_at_store() {
        const auto opened = store::open({.folder = folder_,
                                         .database = options_.serving.database,
                                         .create = false,
                                         .read_only = true});
        if (!opened)
            return tell("store",
                        opened.error().category == Category::unavailable ? Judgement::cannot_tell
                                                                         : Judgement::mend,
                        opened.error().message);
        tell("store", Judgement::good, "the store is of this program's schema" + schema_in_words());
        const auto snapshot = (*opened)->snapshot();
        if (snapshot) look_at_checkpoint((*snapshot)->position());
    }

    /// SQLite keeps the version of the schema in its header (file format §1.3, offset 60).
    std::string schema_in_words() const {
        if (!options_.serving.database.empty()) return {};
        std::FILE* file = std::fopen((folder_ + "/record.db").c_str(), "rbe");
        if (file == nullptr) return {};
        unsigned char bytes[4]{};
        const bool is_read =
            std::fseek(file, 60, SEEK_SET) == 0 && std::fread(bytes, 1, 4, file) == 4;
        std::fclose(file);
        if (!is_read) return {};
        return fmt::format(", version {}", (unsigned{bytes[0]} << 24) | (unsigned{bytes[1]} << 16) |
                                               (unsigned{bytes[2]} << 8) | bytes[3]);
    }

    void look_at_checkpoint(store::Position last) {
        const std::string path = trust::merkle::checkpoints_path(folder_);
        std::uint64_t size = 0;
        const auto read =
            trust::merkle::CheckpointFile::read(path, [&](std::string_view note) -> Result<void> {
                size = TRY(trust::merkle::SignedCheckpoint::parse(note)).checkpoint.size;
                return {};
            });
        struct stat status{};
        if (!read || size == 0 || ::stat(path.c_str(), &status) != 0)
            return tell("checkpoint", last < 0 ? Judgement::good : Judgement::mend,
                        "the log has no signed checkpoint: a server that runs with protection "
                        "signs one each minute");
        const std::int64_t seconds = now().milliseconds / 1000 - status.st_mtim.tv_sec;
        const std::int64_t behind = last + 1 - static_cast<std::int64_t>(size);
        const bool is_late = behind > 0 && seconds > limits::doctor_checkpoint_seconds_max;
        tell("checkpoint", is_late ? Judgement::mend : Judgement::good,
             fmt::format("the newest checkpoint is {} s old; {} entries of the log came since{}",
                         seconds, std::max<std::int64_t>(behind, 0),
                         is_late ? ": nobody signs them; does a server run, and what does its log "
                                   "say?"
                                 : ""));
    }

    void look_at_reach() {
        const ApplicationOptions& serving = options_.serving;
        if (const auto reach = check_reach(serving); !reach)
            return tell("listening", Judgement::mend,
                        fmt::format("`serve` would refuse: {}", reach.error().message));
        const std::string where = fmt::format("{}:{}", serving.address, serving.port);
        if (!serving.tls_certificate.empty())
            return tell("listening", serving.tls_1_2 ? Judgement::advice : Judgement::good,
                        fmt::format("it would listen at {} with TLS {}", where,
                                    serving.tls_1_2 ? "1.3 and 1.2: leave 1.2 out when no client "
                                                      "needs it"
                                                    : "1.3"));
        if (!serving.behind_proxy.empty())
            return tell("listening", Judgement::good,
                        fmt::format("it would listen at {} behind the named proxy", where));
        tell("listening", Judgement::good,
             fmt::format("it would listen at {}, which only this machine reaches", where));
    }

    const DoctorOptions& options_;
    std::string folder_;
    std::vector<HostFinding> findings_;
};

}  // namespace

std::string_view name_of(Judgement judgement) {
    switch (judgement) {
        case Judgement::good:
            return "good";
        case Judgement::advice:
            return "advice";
        case Judgement::mend:
            return "mend";
        case Judgement::cannot_tell:
            break;
    }
    return "cannot-tell";
}

ClockState clock_state() {
    timex clock{};
    const int state = ::adjtimex(&clock);
    if (state < 0) return {};
    return {.is_readable = true,
            .is_synchronised = state != TIME_ERROR && (clock.status & STA_UNSYNC) == 0,
            .error_milliseconds = clock.maxerror / 1000};
}

Result<std::vector<HostFinding>> examine_host(const DoctorOptions& options) {
    std::error_code error;
    const fs::path folder = fs::canonical(options.serving.data_folder, error);
    if (error)
        return fail(error == std::errc::no_such_file_or_directory ? Category::not_found
                                                                  : Category::unavailable,
                    fmt::format("the folder cannot be looked at: {}", error.message()),
                    options.serving.data_folder);
    return Examination(options, folder.string()).all();
}

}  // namespace meridian::server
