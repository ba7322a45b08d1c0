// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fhir/repository.hpp"
#include "net/http.hpp"
#include "rest/service.hpp"
#include "server/guard.hpp"
#include "trust/gate.hpp"
#include "trust/policy/policy.hpp"
#include "trust/pseudonym/project.hpp"

namespace meridian::server {

/// The header by which a member of several projects says which one is meant; "none" is the record
/// itself, of which members see what their role's policy says.
inline constexpr std::string_view project_header = "Meridian-Project";

/// The pseudonymous work views of a running server (docs/policy.md, "Projects"). Each lies in a
/// store of its own, DATA/projects/ID/GENERATION, that a thread keeps in step with the record; its
/// members reach it below the FHIR base of the record, and nobody else does. Where several servers
/// share a record, each keeps its own.
class Projects {
 public:
    struct Options {
        std::string folder;            ///< data folder
        rest::ServiceOptions service;  ///< of the record's own service: bases, and the gate
        std::vector<trust::policy::File> policy_files;
    };
    /// Everything that is given must outlive it. Blocking: look-ups; views are opened by threads.
    Projects(Guard& guard, fhir::Repository& repository, Options options);
    ~Projects();
    Projects(const Projects&) = delete;
    Projects& operator=(const Projects&) = delete;

    /// The gate for the record's own service: who may be a member is answered by a worker, where
    /// `handle` has been asked before.
    std::shared_ptr<trust::Gate> gate() const { return gate_; }
    /// The answer for a member of a project; nothing for everybody else, and for what concerns no
    /// view. Answers 503 until the view shows all that was written before the request came.
    std::optional<net::Response> handle(const net::Request& request);
    /// Whether the person is a member of the project, with a role that may be.
    bool has_member(std::string_view project, const trust::Subject& subject);
    /// Logical id of the patient with a pseudonym. Errors: `not_found`; `unavailable` while the
    /// view is not open.
    Result<std::string> patient_of(std::string_view project, std::string_view pseudonym);
    /// Looks at once which projects there are; otherwise that is done all the while.
    void look_again();

 private:
    class Room;
    Result<void> look();
    void run();
    std::vector<std::shared_ptr<Room>> rooms_of(std::string_view account);
    /// 403, and an entry of the audit.
    net::Response refuse(const net::Request& request, std::string message);

    Guard& guard_;
    fhir::Repository& repository_;
    Options options_;
    trust::pseudonym::ProjectList list_;
    std::shared_ptr<trust::Gate> gate_;
    std::mutex mutex_;  ///< guards the rest
    std::condition_variable changed_;
    std::map<std::string, std::shared_ptr<Room>> rooms_;
    bool stopping_ = false;
    bool is_asked_to_look_ = false;
    std::thread thread_;
};

}  // namespace meridian::server
