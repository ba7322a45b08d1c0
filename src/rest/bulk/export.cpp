// SPDX-License-Identifier: Apache-2.0
#include "rest/bulk/export.hpp"

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/limits.hpp"
#include "fhir/format/subset.hpp"
#include "fhir/search/conditional.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/parameters.hpp"
#include "fhir/search/run.hpp"

namespace meridian::rest {

namespace {

/// One NDJSON file being written; it ends at limits::export_file_resources and the next begins.
class Writer {
 public:
    Writer(const std::string& folder, std::string type, std::vector<ExportFile>& files)
        : folder_(folder), type_(std::move(type)), files_(files) {}
    ~Writer() {
        if (file_ != nullptr) std::fclose(file_);
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    Result<void> write(std::string_view line) {
        if (file_ == nullptr ||
            files_.back().count >= static_cast<std::int64_t>(limits::export_file_resources))
            TRY(next_file());
        buffer_ += line;
        buffer_ += '\n';
        ++files_.back().count;
        return buffer_.size() < limits::http_chunk_bytes ? Result<void>() : flush();
    }

    Result<void> finish() {
        if (file_ == nullptr) return {};
        TRY(flush());
        const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
        return closed ? Result<void>() : failure();
    }

 private:
    std::unexpected<Error> failure() const {
        return fail(errno == ENOSPC ? Category::storage_full : Category::unavailable,
                    fmt::format("an export file cannot be written: {}", std::strerror(errno)),
                    folder_);
    }

    Result<void> flush() {
        const bool written =
            std::fwrite(buffer_.data(), 1, buffer_.size(), file_) == buffer_.size() &&
            std::fflush(file_) == 0;
        buffer_.clear();
        return written ? Result<void>() : failure();
    }

    Result<void> next_file() {
        TRY(finish());
        files_.push_back({type_, fmt::format("{}-{}.ndjson", type_, ++number_), 0});
        file_ = std::fopen((std::filesystem::path(folder_) / files_.back().name).c_str(), "wbe");
        return file_ != nullptr ? Result<void>() : failure();
    }

    const std::string& folder_;
    std::string type_;
    std::vector<ExportFile>& files_;
    std::FILE* file_ = nullptr;
    std::string buffer_;
    int number_ = 0;
};

/// Splits "a,b" at commas.
std::vector<std::string> parts_of(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        if (end > 0) parts.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

class Export {
 public:
    Export(fhir::Repository& repository, const fhir::Caller& caller, const ExportRequest& request,
           const std::string& folder, const std::function<bool(const ExportProgress&)>& go_on)
        : repository_(repository),
          caller_(caller),
          request_(request),
          folder_(folder),
          go_on_(go_on),
          parameters_(repository.parameters()) {}

    Result<ExportResult> run() {
        const std::vector<std::string> types = TRY(export_types(repository_, caller_, request_));
        std::error_code error;
        std::filesystem::create_directories(folder_, error);
        if (error)
            return fail(Category::unavailable,
                        fmt::format("the folder cannot be made: {}", error.message()), folder_);
        {
            auto snapshot = TRY(repository_.store().snapshot());
            result_.position = snapshot->position();
            if (request_.until) {
                const store::Position later =
                    TRY(fhir::search::SnapshotTimeline(*snapshot).first_from(*request_.until));
                result_.position = std::min(result_.position, later - 1);
            }
            result_.transaction_time = now();
            TRY(choose_patients(*snapshot));
            // The size of the whole is for those who may see the whole.
            for (const store::TypeCount& count : caller_.access->sees_everything()
                                                     ? TRY(snapshot->counts())
                                                     : std::vector<store::TypeCount>{}) {
                if (std::find(types.begin(), types.end(), parameters_->type_text(count.type)) !=
                    types.end())
                    progress_.total += count.resources;
            }
        }
        for (const std::string& type : types) TRY(export_type(type));
        if (request_.since) TRY(export_deletions(types));
        return std::move(result_);
    }

 private:
    /// The patients that a group or the `patient` parameter names; `chosen_` stays empty when all
    /// are meant.
    Result<void> choose_patients(store::Snapshot& snapshot) {
        for (const std::string& id : request_.patients) chosen_.insert(id);
        if (request_.scope != ExportRequest::Scope::group) return {};
        const fhir::Resource group = TRY(repository_.read(caller_, "Group", request_.group_id));
        const JsonDocument document = TRY(JsonDocument::parse(group.json));
        std::unordered_set<std::string> members;
        for (const Json& member : document.root()["member"].items()) {
            const std::string_view reference = member["entity"].string_at("reference");
            if (member["inactive"].boolean() || !reference.starts_with("Patient/")) continue;
            members.emplace(reference.substr(8));
        }
        (void)snapshot;
        if (!chosen_.empty())
            std::erase_if(members, [&](const std::string& id) { return !chosen_.contains(id); });
        chosen_ = std::move(members);
        is_chosen_ = true;
        return {};
    }

    bool needs_compartments() const {
        return request_.scope != ExportRequest::Scope::system || !chosen_.empty() || is_chosen_;
    }

    /// Rids that one of the type's filters selects; nothing when the type has no filter.
    Result<std::optional<std::unordered_set<store::Rid>>> filtered(store::Snapshot& snapshot,
                                                                   std::string_view type) {
        std::optional<std::unordered_set<store::Rid>> rids;
        for (const std::string& filter : request_.type_filters) {
            const auto parsed = TRY(fhir::search::parse_conditional_reference(filter));
            if (!parsed || parsed->type != type) continue;
            if (!rids) rids.emplace();
            fhir::search::ParseOptions options;
            options.base_url = request_.base_url;
            options.access = caller_.access;
            options.now = now();
            const auto shared = TRY(fhir::search::conditional_plan(
                *parameters_, repository_.store().names(), type, parsed->query, options,
                limits::reindex_batch_resources));
            // The plan is this export's alone: walking it page by page changes nothing that others
            // see.
            auto& plan = const_cast<store::Plan&>(*shared);
            while (true) {
                const store::Matches matches = TRY(snapshot.search(plan));
                rids->insert(matches.rids.begin(), matches.rids.end());
                if (!matches.more) break;
                plan.after = matches.rids.back();
            }
        }
        return rids;
    }

    Result<bool> concerns_chosen_patients(std::string_view type, std::string_view json) {
        const JsonDocument document = TRY(JsonDocument::parse(json));
        const std::string base = repository_.base_url();
        const store::Rows rows = fhir::search::extract(
            *parameters_, type, document.root(), repository_.store().names(), {.base_url = base});
        if (!is_chosen_ && chosen_.empty()) return !rows.compartments.empty();
        return std::any_of(
            rows.compartments.begin(), rows.compartments.end(),
            [&](const store::Identity& patient) { return chosen_.contains(patient.id); });
    }

    std::vector<std::string> elements_of(std::string_view type) const {
        std::vector<std::string> elements;
        for (const std::string& element : request_.elements) {
            const std::size_t dot = element.find('.');
            if (dot == std::string::npos) {
                elements.push_back(element);
            } else if (std::string_view(element).substr(0, dot) == type) {
                elements.push_back(element.substr(dot + 1));
            }
        }
        return elements;
    }

    Result<void> export_type(const std::string& type) {
        const store::Name type_name = parameters_->type_name(type);
        const std::vector<std::string> elements = elements_of(type);
        std::optional<std::unordered_set<store::Rid>> allowed;
        {
            auto snapshot = TRY(repository_.store().snapshot());
            allowed = TRY(filtered(*snapshot, type));
        }
        Writer writer(folder_, type, result_.output);
        progress_.type = type;
        store::Rid after = 0;
        while (true) {
            auto snapshot = TRY(repository_.store().scan());
            auto batch = TRY(
                snapshot->walk(type_name, result_.position, after, limits::export_batch_resources));
            snapshot.reset();
            if (batch.empty()) break;
            after = batch.back().rid;
            // Consent may have been withdrawn since the last batch.
            TRY(caller_.renew());
            TRY(caller_.access->allow(fhir::Right::bulk_export, type));
            auto current = TRY(repository_.store().snapshot());
            const std::size_t walked = batch.size();
            for (const store::Stored& stored :
                 TRY(repository_.admitted(caller_, *current, std::move(batch)))) {
                if ((request_.since && stored.updated < *request_.since) ||
                    (allowed && !allowed->contains(stored.rid)))
                    continue;
                auto decoded = repository_.decode(stored);
                // Its person was erased since the export began.
                if (!decoded && decoded.error().category == Category::gone) continue;
                const fhir::Resource whole = TRY(std::move(decoded));
                if (needs_compartments() && !TRY(concerns_chosen_patients(type, whole.json)))
                    continue;
                fhir::Resource resource = TRY(repository_.show(caller_, stored));
                if (!elements.empty())
                    resource.json =
                        TRY(fhir::subset(resource.json, fhir::Page::Summary::off, elements));
                TRY(writer.write(resource.json));
                ++result_.resources;
            }
            progress_.done += static_cast<std::int64_t>(walked);
            if (!go_on_(progress_)) return fail(Category::unavailable, "the export was stopped");
        }
        if (type == "AuditEvent" && wants_audit()) TRY(export_audit(writer, elements));
        return writer.finish();
    }

    /// The audit is more than the record itself: only who names it gets it, of the whole store.
    bool wants_audit() const {
        return !needs_compartments() &&
               std::any_of(request_.types.begin(), request_.types.end(),
                           [](const std::string& list) {
                               return list.find("AuditEvent") != std::string::npos;
                           });
    }

    Result<void> export_audit(Writer& writer, const std::vector<std::string>& elements) {
        for (store::Position from = 0; from <= result_.position;) {
            TRY(caller_.renew());
            auto snapshot = TRY(repository_.store().snapshot());
            const store::Position before = from;
            auto events = TRY(repository_.audit_events(*snapshot, caller_, from, result_.position,
                                                       limits::export_batch_resources));
            snapshot.reset();
            for (fhir::Resource& event : events) {
                if (request_.since && event.updated < *request_.since) continue;
                if (!elements.empty())
                    event.json = TRY(fhir::subset(event.json, fhir::Page::Summary::off, elements));
                TRY(writer.write(event.json));
                ++result_.resources;
            }
            if (from == before) break;
            if (!go_on_(progress_)) return fail(Category::unavailable, "the export was stopped");
        }
        return {};
    }

    /// Bulk Data §"deleted": a transaction bundle with a DELETE entry for each resource that is
    /// gone.
    Result<void> export_deletions(const std::vector<std::string>& types) {
        Writer writer(folder_, "deleted", result_.deleted);
        store::HistoryScope scope;
        scope.since = request_.since;
        scope.limit = limits::export_batch_resources;
        scope.before = result_.position + 1;
        while (true) {
            auto snapshot = TRY(repository_.store().snapshot());
            const auto batch = TRY(snapshot->history(scope));
            TRY(caller_.renew());
            for (const store::Stored& stored :
                 TRY(repository_.admitted(caller_, *snapshot, batch))) {
                if (!stored.deleted()) continue;
                const std::string_view type = parameters_->type_text(stored.type);
                if (std::find(types.begin(), types.end(), type) == types.end()) continue;
                // One that has come back since is among the output.
                const auto next =
                    TRY(snapshot->find_version({stored.type, stored.id}, stored.version + 1));
                if (next && next->position <= result_.position) continue;
                TRY(writer.write(fmt::format(
                    R"({{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"DELETE","url":"{}/{}"}}}}]}})",
                    type, stored.id)));
            }
            if (batch.size() < scope.limit) break;
            scope.before = batch.back().position;
        }
        for (ExportFile& file : result_.deleted) file.type = "Bundle";
        return writer.finish();
    }

    fhir::Repository& repository_;
    fhir::Caller caller_;  ///< its rights are those of now: see renew()
    const ExportRequest& request_;
    const std::string& folder_;
    const std::function<bool(const ExportProgress&)>& go_on_;
    std::shared_ptr<const fhir::search::Parameters> parameters_;
    std::unordered_set<std::string> chosen_;
    bool is_chosen_ = false;
    ExportProgress progress_;
    ExportResult result_;
};

}  // namespace

Result<std::vector<std::string>> export_types(fhir::Repository& repository,
                                              const fhir::Caller& caller,
                                              const ExportRequest& request) {
    std::vector<std::string> types;
    const fhir::Compartment& patient = *fhir::definitions().compartment("Patient");
    const auto fits_scope = [&](std::string_view type) {
        if (request.scope == ExportRequest::Scope::system) return true;
        const fhir::CompartmentMember* member = patient.find(type);
        return type == "Patient" || (member != nullptr && !member->params.empty());
    };
    for (const std::string& list : request.types) {
        for (const std::string& type : parts_of(list)) {
            if (fhir::definitions().resource(type) == nullptr)
                return fail(Category::incorrect,
                            fmt::format("\"{}\" is no FHIR R4 resource type", type.substr(0, 60)),
                            "_type");
            const bool is_new = std::find(types.begin(), types.end(), type) == types.end();
            TRY(caller.access->allow(fhir::Right::bulk_export, type));
            if (is_new && fits_scope(type)) types.push_back(type);
        }
    }
    if (request.types.empty()) {
        for (const fhir::Type* type : fhir::definitions().resources()) {
            if (fits_scope(type->name) &&
                caller.access->allow(fhir::Right::bulk_export, type->name))
                types.emplace_back(type->name);
        }
        if (types.empty()) TRY(caller.access->allow(fhir::Right::bulk_export, "Patient"));
    }
    fhir::search::ParseOptions options;
    options.access = caller.access;
    options.now = now();
    for (const std::string& filter : request.type_filters) {
        const auto parsed = TRY(fhir::search::parse_conditional_reference(filter));
        if (!parsed)
            return fail(
                Category::incorrect,
                fmt::format("\"{}\" is no filter: expected Type?search", filter.substr(0, 60)),
                "_typeFilter");
        TRY(fhir::search::conditional_plan(*repository.parameters(), repository.store().names(),
                                           parsed->type, parsed->query, options));
    }
    if (request.scope == ExportRequest::Scope::group)
        TRY(repository.read(caller, "Group", request.group_id));
    return types;
}

Result<ExportResult> export_to_folder(fhir::Repository& repository, const fhir::Caller& caller,
                                      const ExportRequest& request, const std::string& folder,
                                      const std::function<bool(const ExportProgress&)>& go_on) {
    return Export(repository, caller, request, folder, go_on).run();
}

}  // namespace meridian::rest
