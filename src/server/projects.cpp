// SPDX-License-Identifier: Apache-2.0
#include "server/projects.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>

#include "base/log.hpp"
#include "fhir/terminology/terminology.hpp"
#include "rest/basic_operations.hpp"
#include "rest/terminology_operations.hpp"
#include "store/open.hpp"
#include "trust/pseudonym/access.hpp"
#include "trust/pseudonym/limits.hpp"
#include "trust/pseudonym/view.hpp"

namespace meridian::server {

namespace {

using std::chrono::milliseconds;
using trust::pseudonym::Project;
using trust::pseudonym::View;

constexpr std::int64_t view_cache_bytes = 64LL << 20;
constexpr std::int64_t view_mapped_bytes = 256LL << 20;

std::string project_folder(const std::string& data, const std::string& id) {
    return fmt::format("{}/projects/{}", data, id);
}

/// Whether the project is the same but for the accounts that may see it.
bool has_same_view(const Project& left, const Project& right) {
    return left.secret == right.secret && left.generation == right.generation &&
           left.cohort == right.cohort && left.actor == right.actor &&
           left.purpose == right.purpose && left.consent == right.consent &&
           left.labels == right.labels && left.reference_day == right.reference_day;
}

/// Lets nobody in at once who may be a member.
class WaitingGate final : public trust::Gate {
 public:
    explicit WaitingGate(std::shared_ptr<trust::Gate> inner) : inner_(std::move(inner)) {}
    Result<fhir::Caller> admit(const net::Request& request) override {
        return inner_->admit(request);
    }
    std::optional<Result<fhir::Caller>> admit_at_once(const net::Request& request) override {
        auto caller = inner_->admit_at_once(request);
        if (!caller || !*caller || !(*caller)->origin) return caller;
        const auto role = trust::role_named((*caller)->origin->role);
        if (role && trust::pseudonym::may_be_member(*role)) return std::nullopt;
        return caller;
    }
    Result<trust::Subject> subject(const net::Request& request) override {
        return inner_->subject(request);
    }

 private:
    std::shared_ptr<trust::Gate> inner_;
};

/// The operations by which two people decide something about the record itself.
bool is_decided_by_two(std::string_view path) {
    return path.starts_with("/$reidentify") || path.starts_with("/$approv") || path == "/$refuse";
}

net::Response refusal(int status, std::string message) {
    auto response = rest::Service::error_response(status, std::move(message));
    if (status == 503)
        response.headers.set("Retry-After", std::to_string(limits::http_retry_after_seconds));
    return response;
}

}  // namespace

/// One open view: its store, its door, and the thread that keeps it in step.
class Projects::Room {
 public:
    Room(Projects& owner, Project project)
        : owner_(owner),
          project_(std::make_shared<const Project>(project)),
          view_project_(project) {
        thread_ = std::thread([this] { run(); });
    }
    ~Room() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            if (is_open_.load(std::memory_order_acquire)) view_->stop();
        }
        changed_.notify_all();
        thread_.join();
    }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

    std::shared_ptr<const Project> project() const {
        const std::lock_guard lock(mutex_);
        return project_;
    }
    void set_project(Project project) {
        const std::lock_guard lock(mutex_);
        project_ = std::make_shared<const Project>(std::move(project));
    }
    const Project& view_project() const { return view_project_; }
    bool has_member(std::string_view account) const {
        const auto known = project();
        return std::find(known->members.begin(), known->members.end(), account) !=
               known->members.end();
    }

    net::Response handle(const net::Request& request) {
        if (!is_in_step())
            return refusal(503,
                           "the project's view is being brought up to date: try again in a moment");
        auto response = service_->handle(request);
        // The day on which something was written beside its moved date tells by how much.
        response.headers.remove("Last-Modified");
        return response;
    }

    Result<std::string> patient_of(std::string_view pseudonym) const {
        if (!is_open_.load(std::memory_order_acquire))
            return fail(Category::unavailable, "the project's view is not open yet");
        return view_->patient_of(pseudonym);
    }

 private:
    /// Who asks the view: checked anew for each request.
    class MemberGate final : public trust::Gate {
     public:
        explicit MemberGate(Room& room) : room_(room) {}
        Result<fhir::Caller> admit(const net::Request& request) override {
            const trust::Subject subject = TRY(room_.owner_.gate_->subject(request));
            if (!trust::pseudonym::may_be_member(subject.role) ||
                !room_.has_member(subject.account))
                return fail(Category::forbidden, "the account is no member of the project");
            auto caller = TRY(trust::pseudonym::member_caller(*room_.repository_, *room_.project(),
                                                              room_.reading_, subject));
            caller.request_id = request.id;
            caller.address = request.peer;
            return caller;
        }
        std::optional<Result<fhir::Caller>> admit_at_once(const net::Request&) override {
            return std::nullopt;
        }
        Result<trust::Subject> subject(const net::Request& request) override {
            return room_.owner_.gate_->subject(request);
        }

     private:
        Room& room_;
    };

    /// Waits until the view shows what was written before now.
    bool is_in_step() {
        const auto snapshot = owner_.repository_.store().snapshot();
        if (!snapshot) return false;
        const store::Position wanted = (*snapshot)->position();
        std::unique_lock lock(mutex_);
        is_waited_for_ = true;
        changed_.notify_all();
        return progressed_.wait_for(lock, milliseconds(limits::view_wait_milliseconds), [&] {
            return is_open_.load(std::memory_order_acquire) && view_->followed() >= wanted;
        });
    }

    void run() {
        unsigned pause = limits::view_look_milliseconds;
        while (true) {
            const auto more = step();
            if (!more && !is_stopping()) {
                log::error("a project's view cannot be kept up to date",
                           {{"project", view_project_.id}, {"reason", more.error().message}});
                pause = std::min(pause * 2, limits::view_retry_milliseconds_max);
            } else {
                pause = limits::view_look_milliseconds;
            }
            std::unique_lock lock(mutex_);
            progressed_.notify_all();
            if (stopping_) return;
            if (more && *more) continue;
            changed_.wait_for(lock, milliseconds(pause),
                              [&] { return stopping_ || (is_waited_for_ && more); });
            is_waited_for_ = false;
        }
    }

    bool is_stopping() const {
        const std::lock_guard lock(mutex_);
        return stopping_;
    }

    Result<bool> step() {
        if (!is_open_.load(std::memory_order_acquire)) TRY(open());
        const bool more = TRY(view_->advance());
        if (!view_->is_to_be_made_anew()) return more;
        // All servers take the next generation when they see it; what is shown until then lacks
        // the person already.
        TRY(owner_.list_.change(view_project_.id, [&](Project& project) -> Result<void> {
            if (project.generation == view_project_.generation) ++project.generation;
            return {};
        }));
        owner_.look_again();
        return false;
    }

    Result<void> open() {
        const std::string folder =
            fmt::format("{}/{}", project_folder(owner_.options_.folder, view_project_.id),
                        view_project_.generation);
        std::error_code ignored;
        std::filesystem::create_directories(folder, ignored);
        std::filesystem::permissions(project_folder(owner_.options_.folder, view_project_.id),
                                     std::filesystem::perms::owner_all, ignored);
        remove_other_generations();
        store_ = TRY(store::open({.folder = folder,
                                  .cache_bytes = view_cache_bytes,
                                  .mapped_bytes = view_mapped_bytes}));
        fhir::Repository::Options options;
        options.validate = false;  // a copy is as right as what it was made of
        options.base_url = owner_.repository_.base_url();
        options.cipher = trust::pseudonym::view_cipher(view_project_);
        options.audit = trust::pseudonym::view_audit(owner_.guard_.audit());
        repository_ = TRY(fhir::Repository::open(*store_, options));
        const auto& files = owner_.options_.policy_files;
        reading_ = TRY(trust::pseudonym::policy_of_reading(view_project_, files));
        view_ =
            std::make_unique<View>(owner_.repository_, *repository_, view_project_,
                                   TRY(trust::pseudonym::policy_of_entry(view_project_, files)));
        rest::ServiceOptions service = owner_.options_.service;
        service.gate = std::make_shared<MemberGate>(*this);
        service_ = std::make_unique<rest::Service>(*repository_, service);
        rest::add_basic_operations(*service_);
        const auto terminology =
            std::make_shared<const fhir::terminology::Terminology>(repository_.get());
        repository_->set_concepts(terminology);
        rest::add_terminology_operations(*service_, terminology);
        is_open_.store(true, std::memory_order_release);
        return {};
    }

    /// What older generations still hold of erased people goes with their folders.
    void remove_other_generations() const {
        std::error_code ignored;
        const std::string own = std::to_string(view_project_.generation);
        for (const auto& entry : std::filesystem::directory_iterator(
                 project_folder(owner_.options_.folder, view_project_.id), ignored)) {
            if (entry.path().filename().string() != own)
                std::filesystem::remove_all(entry.path(), ignored);
        }
    }

    Projects& owner_;
    mutable std::mutex mutex_;
    std::condition_variable changed_, progressed_;
    std::shared_ptr<const Project> project_;  ///< as the vault has it now
    const Project view_project_;              ///< as the view was made
    bool stopping_ = false;
    bool is_waited_for_ = false;
    std::atomic<bool> is_open_{false};
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<fhir::Repository> repository_;
    std::shared_ptr<const trust::policy::Policy> reading_;
    std::unique_ptr<View> view_;
    std::unique_ptr<rest::Service> service_;
    std::thread thread_;
};

Projects::Projects(Guard& guard, fhir::Repository& repository, Options options)
    : guard_(guard),
      repository_(repository),
      options_(std::move(options)),
      list_(guard.vault()),
      gate_(std::make_shared<WaitingGate>(options_.service.gate)) {
    if (const auto looked = look(); !looked)
        log::error("projects could not be read", {{"reason", looked.error().message}});
    thread_ = std::thread([this] { run(); });
}

Projects::~Projects() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
    rooms_.clear();
}

void Projects::look_again() {
    const std::lock_guard lock(mutex_);
    is_asked_to_look_ = true;
    changed_.notify_all();
}

/// Other servers and commands change projects: all of them look.
void Projects::run() {
    while (true) {
        {
            std::unique_lock lock(mutex_);
            changed_.wait_for(lock, milliseconds(limits::view_look_milliseconds),
                              [&] { return stopping_ || is_asked_to_look_; });
            is_asked_to_look_ = false;
            if (stopping_) return;
        }
        if (const auto looked = look(); !looked)
            log::warning("projects could not be read", {{"reason", looked.error().message}});
    }
}

Result<void> Projects::look() {
    const std::vector<Project> projects = TRY(list_.all());
    std::vector<std::shared_ptr<Room>> closed;  // they end outside of the lock
    std::vector<std::string> removed;
    {
        const std::lock_guard lock(mutex_);
        for (auto at = rooms_.begin(); at != rooms_.end();) {
            const auto known =
                std::find_if(projects.begin(), projects.end(),
                             [&](const Project& each) { return each.id == at->first; });
            if (known != projects.end() && has_same_view(*known, at->second->view_project())) {
                at->second->set_project(*known);
                ++at;
                continue;
            }
            if (known == projects.end()) removed.push_back(at->first);
            closed.push_back(std::move(at->second));
            at = rooms_.erase(at);
        }
    }
    // A store is opened by one at a time: the old room has to be closed before.
    for (auto& room : closed) {
        while (room.use_count() > 1) std::this_thread::sleep_for(milliseconds(1));
        room.reset();
    }
    for (const std::string& id : removed) {
        std::error_code ignored;
        std::filesystem::remove_all(project_folder(options_.folder, id), ignored);
    }
    const std::lock_guard lock(mutex_);
    for (const Project& project : projects) {
        auto& room = rooms_[project.id];
        if (!room) room = std::make_shared<Room>(*this, project);
    }
    return {};
}

std::vector<std::shared_ptr<Projects::Room>> Projects::rooms_of(std::string_view account) {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Room>> found;
    for (const auto& [id, room] : rooms_)
        if (room->has_member(account)) found.push_back(room);
    return found;
}

net::Response Projects::refuse(const net::Request& request, std::string message) {
    guard_.audit().note_refused(request, Error{Category::forbidden, message});
    return refusal(403, std::move(message));
}

std::optional<net::Response> Projects::handle(const net::Request& request) {
    const std::string& base = options_.service.base_path;
    std::string_view path = request.path();
    if (path != base && !path.starts_with(base + "/")) return std::nullopt;
    path.remove_prefix(base.size());
    // What this server can do, and what two people decide about the record itself.
    if (path == "/metadata" || is_decided_by_two(path)) return std::nullopt;
    {
        const std::lock_guard lock(mutex_);
        if (rooms_.empty()) return std::nullopt;
    }
    const auto subject = gate_->subject(request);
    // Who may not ask at all hears that from the record's own gate, which audits it.
    if (!subject || !trust::pseudonym::may_be_member(subject->role)) return std::nullopt;
    const std::string named(request.headers.get(project_header));
    if (named == "none") return std::nullopt;
    auto rooms = rooms_of(subject->account);
    if (!named.empty()) {
        std::erase_if(rooms, [&](const auto& room) { return room->view_project().id != named; });
        if (rooms.empty()) return refuse(request, "the account is no member of this project");
    }
    if (rooms.empty()) return std::nullopt;
    if (rooms.size() > 1)
        return refusal(400, fmt::format("the account is a member of several projects: name one in "
                                        "the header {}",
                                        project_header));
    // Versions and bundles lead around what a read checks: a view has neither.
    const bool is_bundle = request.method == net::Method::post && (path.empty() || path == "/");
    if (is_bundle || path.find("_history") != std::string_view::npos)
        return refuse(request, "what a project shows can be read and searched only");
    return rooms.front()->handle(request);
}

bool Projects::has_member(std::string_view project, const trust::Subject& subject) {
    if (!trust::pseudonym::may_be_member(subject.role)) return false;
    const std::lock_guard lock(mutex_);
    const auto found = rooms_.find(std::string(project));
    return found != rooms_.end() && found->second->has_member(subject.account);
}

Result<std::string> Projects::patient_of(std::string_view project, std::string_view pseudonym) {
    std::shared_ptr<Room> room;
    {
        const std::lock_guard lock(mutex_);
        const auto found = rooms_.find(std::string(project));
        if (found == rooms_.end()) return fail(Category::not_found, "there is no such project");
        room = found->second;
    }
    return room->patient_of(pseudonym);
}

}  // namespace meridian::server
