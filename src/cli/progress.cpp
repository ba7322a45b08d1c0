// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.hpp"

#include <unistd.h>

#include <cstdio>

namespace meridian::cli {

namespace {

std::string time_text(double seconds) {
    const auto whole = static_cast<std::int64_t>(seconds + 0.5);
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
    return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

}  // namespace

Progress::Progress(std::string unit)
    : unit_(std::move(unit)), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
    if (drawn_) std::fputc('\n', stderr);
}

void Progress::show(std::int64_t done, std::int64_t total, std::int64_t count,
                    const std::string& note) {
    const auto pause =
        terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10'000);
    const Clock::time_point time = Clock::now();
    if (shown_ == Clock::time_point{} && !terminal_) shown_ = begun_;
    if (time - shown_ < pause) return;
    shown_ = time;
    const double rate = static_cast<double>(count) / std::max(0.001, seconds());
    std::string line;
    if (total > 0) {
        const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
        const auto filled = static_cast<std::size_t>(share * 30);
        line = fmt::format("[{}{}] {:3.0f} %  ", std::string(filled, '#'),
                           std::string(30 - filled, '.'), share * 100);
        if (share > 0.01)
            line += fmt::format("{} left, ", time_text(seconds() * (1 - share) / share));
    }
    line += fmt::format("{} {}, {:.0f}/s", count, unit_, rate);
    if (!note.empty()) line += "  " + note.substr(note.size() > 40 ? note.size() - 40 : 0);
    if (terminal_) {
        std::fprintf(stderr, "\r\033[K%s", line.c_str());
        drawn_ = true;
    } else {
        std::fprintf(stderr, "%s\n", line.c_str());
    }
    std::fflush(stderr);
}

void Progress::finish(std::int64_t count) {
    if (drawn_) std::fputs("\r\033[K", stderr);
    drawn_ = false;
    std::fprintf(stderr, "%lld %s in %s (%.0f/s)\n", static_cast<long long>(count), unit_.c_str(),
                 time_text(seconds()).c_str(),
                 static_cast<double>(count) / std::max(0.001, seconds()));
}

}  // namespace meridian::cli
