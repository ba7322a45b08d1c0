// SPDX-License-Identifier: Apache-2.0
// Private to the room: the Repository over a store::Store.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "fhir/follow.hpp"
#include "fhir/label_rule.hpp"
#include "fhir/reindex.hpp"
#include "fhir/repository.hpp"
#include "fhir/search/parameters.hpp"
#include "fhir/search/run.hpp"

namespace meridian::fhir {

class StoreRepository final : public Repository {
 public:
    StoreRepository(store::Store& store, Options options);
    ~StoreRepository() override;
    /// Loads the custom search parameters that are already stored.
    Result<void> start();

    Result<Resource> read(const Caller& caller, std::string_view type,
                          std::string_view id) override;
    std::optional<AtOnce> read_at_once(const Caller& caller, std::string_view type,
                                       std::string_view id) override;
    Result<Resource> read_version(const Caller& caller, std::string_view type, std::string_view id,
                                  store::Version version) override;
    Result<Page> history(const Caller& caller, const HistoryRequest& request) override;
    Result<Page> search(const Caller& caller, std::string_view type,
                        const QueryParameters& parameters, const SearchOptions& options) override;
    Result<Page> next_page(const Caller& caller, std::string_view cursor) override;
    Result<Page> everything(const Caller& caller, std::string_view type, std::string_view id,
                            const QueryParameters& parameters,
                            const SearchOptions& options) override;
    Result<std::vector<OperationResult>> commit(const Caller& caller,
                                                Transaction transaction) override;
    Result<void> note(const Caller& caller, std::vector<AuditRecord> records) override;
    void note_later(const Caller& caller, AuditRecord record,
                    std::function<void(Result<void>)> done) override;
    Result<std::vector<Resource>> audit_events(store::Snapshot& snapshot, const Caller& caller,
                                               store::Position& from, store::Position at,
                                               std::size_t limit) override;
    Result<store::Change> prepare(const Caller& caller, std::string_view type, std::string_view id,
                                  const Json& resource) override;
    Result<store::Receipt> commit_prepared(const Caller& caller,
                                           std::vector<store::Change> changes) override;
    Result<void> reindex(
        std::string_view parameter,
        const std::function<bool(std::string_view, std::int64_t, std::int64_t)>& go_on) override;
    void add_inline_view(std::shared_ptr<const InlineView> view) override;
    void add_following_view(std::shared_ptr<FollowingView> view) override;
    bool wait_for_views(store::Position position, unsigned milliseconds) override {
        return followers_.wait(position, milliseconds);
    }
    void set_concepts(std::shared_ptr<const search::ConceptSource> concepts) override;
    void set_label_rule(std::shared_ptr<const LabelRule> rule) override;
    std::shared_ptr<const search::Parameters> parameters() const override;
    Result<void> set_base_url(std::string base_url) override;
    std::string base_url() const override;
    store::Store& store() override { return store_; }
    Result<Resource> decode(const store::Stored& stored) override;

    // --- for the writing and reindexing parts of this room ---
    const Options& options() const { return options_; }
    search::ParseOptions parse_options(const Caller& caller, std::string_view base_url) const;
    /// A body on its way into the store: stored form, index rows, sealed bytes.
    struct Encoded {
        store::Change change;
        std::string json;  ///< stored form, for the answer
        std::uint32_t stamp_at = 0;
    };
    /// `organisation`: the writer's.
    Result<Encoded> encode(const Json& resource, std::string_view type, std::string_view id,
                           std::string_view organisation);
    /// Whether `stored`, a version of any age or a deletion, exists for the caller. An older
    /// version must satisfy the filter itself, and so must the newest; a deletion what it deleted.
    Result<bool> sees(store::Snapshot& snapshot, const Caller& caller, const store::Stored& stored);
    /// Whether there is a current version that satisfies `condition`. The work is the same whether
    /// it does not or there is none.
    Result<bool> satisfies(store::Snapshot& snapshot, const store::Identity& identity,
                           store::Condition condition);
    /// Whether `stored`, a version of any age that is no deletion, satisfied `condition`.
    Result<bool> satisfied(store::Snapshot& snapshot, const store::Stored& stored,
                           const store::Condition& condition);
    /// The rule for sensitivity labels, or null.
    std::shared_ptr<const LabelRule> label_rule() const;
    /// As decode, without what the caller's policy withholds.
    Result<Resource> show(const Caller& caller, const store::Stored& stored) override;
    Result<std::vector<store::Stored>> admitted(const Caller& caller, store::Snapshot& snapshot,
                                                std::vector<store::Stored> stored) override;
    /// The newest version that the caller may see; nothing when there is none, and nothing alike
    /// when it is hidden, which `record` hears. A deletion is returned too.
    Result<std::optional<store::Stored>> find(store::Snapshot& snapshot, const Caller& caller,
                                              std::string_view type, std::string_view id,
                                              AuditRecord* record = nullptr);
    /// The answer to a read whose search found `stored`.
    Result<Resource> answer_read(const Caller& caller, std::string_view type, std::string_view id,
                                 const std::optional<store::Stored>& stored);
    Resource describe(const store::Stored& stored) const;
    /// As show; nothing for a version whose person was erased.
    Result<std::optional<Resource>> show_kept(const Caller& caller, const store::Stored& stored);
    /// A full reindex is over: searches may rely on the rows of search/pairs.hpp.
    Result<void> note_derived_rows();
    Result<void> set_parameters(std::shared_ptr<const search::Parameters> parameters);

    /// What `work` answers on a snapshot that is as stale as the caller allows, with its age. What
    /// fails on a replica, also because something is not there yet, is asked of the record itself.
    /// It is recorded once, as `about` and what `work` adds to it, and before anybody hears of it:
    /// an answer that cannot be recorded is none.
    template <class Work>
    auto read_from(const Caller& caller, AuditRecord about, Work work)
        -> decltype(work(std::declval<store::Snapshot&>(), std::declval<AuditRecord&>())) {
        using Answer = decltype(work(std::declval<store::Snapshot&>(), about));
        return store::with_names([&]() -> Answer {
            if (caller.max_stale) {
                auto snapshot = TRY(store_.stale_snapshot(*caller.max_stale));
                AuditRecord record = about;
                auto answer = work(*snapshot, record);
                if (answer) answer->age = snapshot->age();
                if (answer || !snapshot->age()) {
                    snapshot.reset();
                    return recorded(caller, std::move(record), std::move(answer));
                }
            }
            auto snapshot = TRY(store_.snapshot());
            auto answer = work(*snapshot, about);
            // Whoever waits for the committer holds no snapshot.
            snapshot.reset();
            return recorded(caller, std::move(about), std::move(answer));
        });
    }
    template <class Answer>
    Answer recorded(const Caller& caller, AuditRecord record, Answer answer) {
        if (!is_recorded(caller)) return answer;
        if (!answer && record.outcome == AuditOutcome::success)
            record.outcome = outcome_of(answer.error());
        if (caller.gathering) {
            caller.gathering->add(std::move(record));
            return answer;
        }
        std::vector<AuditRecord> records;
        records.push_back(std::move(record));
        TRY(note(caller, std::move(records)));
        return answer;
    }
    /// Whether reads of the caller are recorded.
    bool is_recorded(const Caller& caller) const {
        return !options_.audit->is_quiet() && !caller.is_background;
    }
    static AuditOutcome outcome_of(const Error& error);
    /// Adds whom the resources of a page concern.
    void tell_patients(const Caller& caller, const Page& page, AuditRecord& record) const;
    void tell_patients(const Caller& caller, const Resource& resource, AuditRecord& record) const;

    search::RunContext run_context(store::Snapshot& snapshot, const search::Parameters& parameters,
                                   const Caller& caller);

 private:
    Result<void> look_for_derived_rows();
    Result<std::vector<OperationResult>> try_commit(const Caller& caller, Transaction& transaction);
    /// Refuses a load that would overwrite a labelled resource with one that is not.
    Result<void> keep_labels(const std::vector<store::Change>& changes);
    Result<void> keep_labels(const LabelRule& rule, store::Snapshot& snapshot, store::Name type,
                             const std::vector<const store::Change*>& changes);
    Result<Page> page_of(const Caller& caller, search::Answer answer);
    Result<Page> search_on(store::Snapshot& snapshot, AuditRecord& record, const Caller& caller,
                           std::string_view type, const QueryParameters& parameters,
                           const SearchOptions& options);
    Result<Page> history_on(store::Snapshot& snapshot, AuditRecord& record, const Caller& caller,
                            const HistoryRequest& request);
    Result<Page> everything_on(store::Snapshot& snapshot, AuditRecord& record, const Caller& caller,
                               std::string_view type, std::string_view id,
                               const QueryParameters& parameters, const SearchOptions& options);
    /// Makes the page behind the last one of $everything that of the audit.
    Result<void> lead_to_audit(store::Snapshot& snapshot, const Caller& caller,
                               std::string_view patient, Page& page) const;
    Result<Page> page_after(store::Snapshot& snapshot, const Caller& caller,
                            std::string_view cursor);
    Result<Page> history_after(const Caller& caller, std::string_view cursor);

    store::Store& store_;
    Options options_;
    mutable std::shared_mutex mutex_;  ///< guards the five below
    std::shared_ptr<const search::Parameters> parameters_;
    std::vector<std::shared_ptr<const InlineView>> inline_views_;
    std::shared_ptr<const search::ConceptSource> concepts_;
    std::shared_ptr<const LabelRule> label_rule_;
    std::string base_url_;
    search::Cursors cursors_;
    std::atomic<bool> has_derived_rows_{false};
    std::string history_key_;  ///< signs history cursors
    std::shared_ptr<CustomParameters> custom_parameters_;
    Followers followers_;  ///< last: its thread uses the rest
};

}  // namespace meridian::fhir
