// SPDX-License-Identifier: Apache-2.0
// Conditions on a resource's place among others: its id, its references and those to it, its
// patient, its age.
#include "base/limits.hpp"
#include "store/sqlite/search_admitted.hpp"
#include "store/sqlite/search_join.hpp"

namespace meridian::store::sqlite {

Rid rid_of(Run& run, const Identity& identity) {
    Cursor cursor(run, Sql::directory_of);
    cursor.open(identity.type, identity.id);
    return cursor.next() ? cursor.integer(0) : 0;
}

std::vector<Rid> rids_of(Run& run, const std::vector<Identity>& identities) {
    std::vector<Rid> rids;
    for (const Identity& identity : identities) {
        Rid rid = rid_of(run, identity);
        // What nobody mentioned is looked up like anything else, and not found: work does not tell
        // whether something hidden mentioned it.
        if (rid == 0 && (run.is_even() || identities.size() <= limits::search_streams_max))
            rid = -1 - static_cast<Rid>(rids.size());
        if (rid != 0) rids.push_back(rid);
    }
    sort_unique(rids);
    return rids;
}

namespace {

bool contains(const std::vector<Rid>& sorted, Rid rid) {
    return std::binary_search(sorted.begin(), sorted.end(), rid);
}

/// Adds all that `cursor` gives.
bool take_all(Cursor& cursor, std::vector<Rid>& out, const Allowance& allowance) {
    while (cursor.next()) {
        out.push_back(cursor.integer(0));
        if (allowance.spent()) return false;
    }
    return true;
}

bool drain(Stream& stream, std::vector<Rid>& out, const Allowance& allowance) {
    for (Rid rid = stream.seek(1); rid != no_rid; rid = stream.seek(rid + 1)) {
        out.push_back(rid);
        if (allowance.spent()) return false;
    }
    return true;
}

/// Some known resources, all current and of the search's type.
class RidsNode final : public Node {
 public:
    explicit RidsNode(std::vector<Rid> rids) : rids_(std::move(rids)) {}
    bool test(Candidate& candidate) override { return contains(rids_, candidate.rid()); }
    int rank() const override { return 0; }
    std::size_t stream_width() const override { return 1; }
    std::unique_ptr<Stream> stream() override { return std::make_unique<SetStream>(rids_); }
    std::size_t reach_keys() const override { return std::max<std::size_t>(rids_.size(), 1); }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance&) override {
        out.insert(out.end(), rids_.begin(), rids_.end());
        return true;
    }

 private:
    std::vector<Rid> rids_;
};

/// All current resources of one type; stands where nothing else tells the type.
class TypeNode final : public Node {
 public:
    TypeNode(Run& run, Name type) : run_(run), type_(type) {}
    bool test(Candidate& candidate) override { return candidate.is(type_); }
    std::size_t stream_width() const override { return 1; }
    std::unique_ptr<Stream> stream() override {
        return std::make_unique<KeyStream>(run_, Sql::type_scan, type_);
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        return drain(*stream(), out, allowance);
    }

 private:
    Run& run_;
    Name type_;
};

class ReferenceNode final : public Node {
 public:
    ReferenceNode(Run& run, Name param, std::vector<Rid> targets)
        : run_(run), param_(param), targets_(std::move(targets)) {}
    bool test(Candidate& candidate) override {
        return any_row(candidate, candidate.rows().references(), param_,
                       [&](auto& row) { return contains(targets_, row.target); });
    }
    std::size_t stream_width() const override {
        return targets_.size() <= limits::search_streams_max ? targets_.size() : 0;
    }
    std::unique_ptr<Stream> stream() override {
        std::vector<std::unique_ptr<Stream>> streams;
        streams.reserve(targets_.size());
        for (const Rid target : targets_) {
            streams.push_back(std::make_unique<KeyStream>(run_, Sql::reference_at, param_, target));
        }
        if (streams.size() == 1) return std::move(streams.front());
        return std::make_unique<UnionStream>(std::move(streams));
    }
    std::size_t reach_keys() const override { return std::max<std::size_t>(targets_.size(), 1); }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        Cursor cursor(run_, Sql::reference_at);
        for (const Rid target : targets_) {
            cursor.open(param_, target, 0);
            if (!take_all(cursor, out, allowance)) return false;
        }
        return true;
    }

 private:
    Run& run_;
    Name param_;
    std::vector<Rid> targets_;
};

/// The sources of a patient on the clinical access path. Those with the wrong reference are among
/// them.
class Chart {
 public:
    Chart(Run& run, ChartRange range)
        : range_(std::move(range)), cursor_(run, Sql::patient_range) {}

    /// Nothing where too many codes are asked for to be looked up one by one.
    static std::optional<ChartRange> usable(Run& run, const std::optional<ChartRange>& asked) {
        if (!asked) return std::nullopt;
        ChartRange range = *asked;
        if (range.codes.empty()) {
            range.codes.push_back(0);
        } else {
            std::sort(range.codes.begin(), range.codes.end());
            range.codes.erase(std::unique(range.codes.begin(), range.codes.end()),
                              range.codes.end());
            range.codes = held(run, HasToken{range.code_param, std::move(range.codes)}).values;
        }
        return range.codes.size() <= limits::search_streams_max ? std::optional(range)
                                                                : std::nullopt;
    }
    /// Number of streams that patients() joins; 0 when any code will do.
    std::size_t width() const {
        return range_.codes == std::vector<std::int64_t>{0} ? 0 : range_.codes.size();
    }
    /// Who has anything of the type with one of the codes, started when it may; only with a width.
    std::unique_ptr<Stream> patients(Run& run) const {
        std::vector<std::unique_ptr<Stream>> streams;
        streams.reserve(range_.codes.size());
        for (const std::int64_t code : range_.codes) {
            streams.push_back(
                std::make_unique<KeyStream>(run, Sql::patients_of_code, range_.type, code));
        }
        if (streams.size() == 1) return std::move(streams.front());
        return std::make_unique<UnionStream>(std::move(streams));
    }
    /// False when `visit` did not want to go on.
    template <class Visit>
    bool each(Rid patient, Visit visit) {
        for (const std::int64_t code : range_.codes) {
            cursor_.open(patient, range_.type, code, range_.date_from, range_.date_below);
            while (cursor_.next()) {
                if (!visit(cursor_.integer(0))) return false;
            }
        }
        return true;
    }
    /// All that lies in this patient's chart refers to the patient, and to nobody else, by the
    /// reference in question.
    bool is_of_one_reference(Run& run, Rid patient) const {
        if (!range_.other_paths) return false;
        Cursor other(run, Sql::reference_at);
        return std::none_of(range_.other_paths->begin(), range_.other_paths->end(), [&](Name path) {
            other.open(path, patient, 0);
            return other.next();
        });
    }

 private:
    ChartRange range_;
    Cursor cursor_;
};

/// What it costs to look one resource up and to step over what is found.
constexpr std::uint64_t work_per_resource = Cursor::look_up_work + 2;

/// One hop of a chain.
class RefersNode final : public Node {
 public:
    RefersNode(Run& run, Name param, std::unique_ptr<AllNode> target,
               const std::optional<ChartRange>& chart)
        : run_(run), param_(param), target_(std::move(target)) {
        if (const auto range = Chart::usable(run, chart)) chart_.emplace(run, *range);
    }
    bool test(Candidate& candidate) override {
        return any_row(candidate, candidate.rows().references(), param_,
                       [&](auto& row) { return accepts(row.target); });
    }
    int rank() const override { return 10 + target_->rank(); }
    bool can_open() const override { return target_->can_open(); }
    std::unique_ptr<Stream> open(Run& run, std::uint64_t work_max) override {
        const Allowance allowance(run, work_max);
        if (!find_targets(allowance)) return nullptr;
        // Few targets: their sources lie in rid order under each of them and need not be collected.
        ReferenceNode sources(run, param_, *targets_);
        if (sources.stream_width() > 0) return sources.stream();
        return chart_ ? open_charts(allowance) : Node::open(run, work_max);
    }
    bool open_is_exact() const override { return !opened_charts_; }
    std::optional<std::uint64_t> price(std::uint64_t most) override {
        // Once the targets are known, so is the price of their charts, and a test needs no look-up:
        // that is worth more than a first allowance. Both ways meet at some thousand of them.
        constexpr std::uint64_t worth_of_knowing = 8'192;
        if (chart_ && !asked_) most = std::max(most, worth_of_knowing);
        asked_ = true;
        if (!find_targets(Allowance(run_, most))) return Allowance::unbounded;
        if (targets_->size() <= limits::search_streams_max) return 0;
        if (!chart_) return std::nullopt;
        // Most targets do not have the code, and that is told by some stepping.
        constexpr std::uint64_t steps = 6;
        return (targets_->size() - charted_) * (chart_->width() > 0 ? steps : work_per_resource);
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        if (!find_targets(allowance)) return false;
        Cursor cursor(run_, Sql::reference_at);
        for (const Rid target : *targets_) {
            cursor.open(param_, target, 0);
            if (!take_all(cursor, out, allowance)) return false;
        }
        return true;
    }

 private:
    /// What the targets' charts hold of what is asked for. One look-up per target finds it, where
    /// the references to a target are as many as the patient has resources of the type.
    std::unique_ptr<Stream> open_charts(const Allowance& allowance) {
        const auto with_code = chart_->width() > 0 ? chart_->patients(run_) : nullptr;
        for (; charted_ < targets_->size(); ++charted_) {
            if (allowance.spent()) return nullptr;
            const Rid target = (*targets_)[charted_];
            if (with_code != nullptr && with_code->seek(target) != target) continue;
            chart_->each(target, [&](Rid source) {
                in_charts_.push_back(source);
                return true;
            });
        }
        if (run_.failed()) return nullptr;
        sort_unique(in_charts_);
        opened_charts_ = true;
        return std::make_unique<SetStream>(in_charts_);
    }

    /// Collects the targets, once. False when that takes too much; until then each target is judged
    /// by itself.
    bool find_targets(const Allowance& allowance) {
        if (targets_) return true;
        // What does not lie in rid order is collected within the join's first allowance; with one
        // much larger it is worth beginning anew.
        constexpr std::uint64_t larger = 4;
        if (!join_ || allowance.left() / larger > join_allowance_) {
            join_allowance_ = allowance.left();
            join_ = std::make_unique<Join>(run_, *target_, nullptr, join_allowance_);
            found_.clear();
            next_target_ = 1;
        }
        while (true) {
            const auto rid = join_->seek_within(next_target_, allowance.limit());
            if (!rid) return false;
            if (*rid == no_rid) break;
            found_.push_back(*rid);
            next_target_ = *rid + 1;
        }
        if (run_.failed()) return false;
        targets_ = std::move(found_);
        verdicts_.clear();
        return true;
    }

    bool accepts(Rid target) {
        if (targets_) return contains(*targets_, target);
        const auto known = verdicts_.find(target);
        if (known != verdicts_.end()) return known->second;
        Candidate candidate(run_, target);
        const bool accepted = target_->test(candidate) &&
                              (target_->test_proves_type() || candidate.is(target_->type()));
        if (verdicts_.size() < limits::search_verdicts_max) verdicts_.emplace(target, accepted);
        return accepted;
    }

    Run& run_;
    Name param_;
    std::unique_ptr<AllNode> target_;
    std::unique_ptr<Join> join_;  ///< goes on where the last try to find all targets stopped
    std::uint64_t join_allowance_ = 0;
    std::vector<Rid> found_;
    Rid next_target_ = 1;
    std::optional<std::vector<Rid>> targets_;
    std::unordered_map<Rid, bool> verdicts_;
    std::optional<Chart> chart_;
    bool asked_ = false;       ///< for the price
    std::size_t charted_ = 0;  ///< targets whose charts were read
    std::vector<Rid> in_charts_;
    bool opened_charts_ = false;
};

/// One _has: a resource that satisfies `source` refers here.
class ReferredNode final : public Node {
 public:
    ReferredNode(Run& run, Name param, std::unique_ptr<AllNode> source,
                 const std::optional<ChartRange>& chart)
        : run_(run), param_(param), source_(std::move(source)) {
        if (const auto range = Chart::usable(run, chart)) chart_.emplace(run, *range);
    }
    bool test(Candidate& candidate) override {
        if (targets_) return contains(*targets_, candidate.rid());
        if (chart_) {
            if (const auto verdict = by_chart(candidate.rid())) return *verdict;
        }
        // The sources of one target and the matches of the inner conditions both lie in rid order:
        // their first common rid decides, and a target's sources lie near each other, so that few
        // steps find it.
        if (!from_here_) {
            from_here_ = std::make_unique<KeyStream>(run_, Sql::reference_at, param_, 0);
            sources_here_ = std::make_unique<Join>(run_, *source_, from_here_.get());
        }
        from_here_->aim(candidate.rid());
        sources_here_->restart();
        return sources_here_->seek(1) != no_rid;
    }
    int rank() const override { return 20 + source_->rank(); }
    std::size_t stream_width() const override { return chart_ ? chart_->width() : 0; }
    std::unique_ptr<Stream> stream() override { return chart_->patients(run_); }
    bool stream_is_exact() const override { return false; }
    bool can_open() const override { return source_->can_open(); }
    /// By the condition on the sources that the fewest satisfy.
    std::optional<std::uint64_t> price(std::uint64_t most) override {
        if (targets_) return 0;
        std::optional<std::uint64_t> sources;
        for (const auto& part : source_->parts()) {
            const auto size = part->size_within(most);
            if (size && (!sources || *size < *sources)) sources = size;
        }
        if (!sources) return std::nullopt;
        return *sources > most ? Allowance::unbounded : *sources * work_per_resource;
    }
    // What is referred to may be of another type, deleted, or never written.
    bool scan_proves_type() const override { return false; }
    bool test_proves_type() const override { return false; }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        if (!find_targets(allowance)) return false;
        out.insert(out.end(), targets_->begin(), targets_->end());
        return true;
    }

 private:
    /// Whether a source lies in the candidate's chart; nothing when that is no way to tell. Mostly
    /// the first that lies there is one: where many do not, the chart is left alone.
    std::optional<bool> by_chart(Rid target) {
        bool found = false;
        const bool saw_all = chart_->each(target, [&](Rid rid) {
            Candidate source(run_, rid);
            found = any_row(source, source.rows().references(), param_,
                            [&](auto& row) { return row.target == target; }) &&
                    source_->test(source);
            if (found) return false;
            constexpr std::size_t vain_tests_max = 64;
            if (++vain_tests_ <= vain_tests_max + 4 * chart_hits_) return true;
            is_chart_in_vain_ = true;
            return false;
        });
        if (found) {
            ++chart_hits_;
            return true;
        }
        if (is_chart_in_vain_) chart_.reset();
        return saw_all ? std::optional(false) : std::nullopt;
    }

    /// Whether the source was met in the chart of a target that is known already.
    bool is_explained(Rid source) {
        ++sources_;
        return explained_.erase(source) > 0;
    }

    /// The targets of a source. Where patients have many sources each, one look at the chart of
    /// each patient saves looking at the others.
    void read_targets(Rid rid) {
        Candidate source(run_, rid);
        Rid target = 0;
        any_row(source, source.rows().references(), param_, [&](auto& row) {
            target = row.target;
            if (known_.insert(target).second) found_.push_back(target);
            return false;
        });
        constexpr std::size_t sources_before_judging = 16;
        constexpr std::size_t sources_worth_a_chart = 3;
        if (!chart_ || target == 0 || sources_ < sources_before_judging ||
            sources_ < sources_worth_a_chart * known_.size())
            return;
        if (!charted_.insert(target).second || !chart_->is_of_one_reference(run_, target)) return;
        chart_->each(target, [&](Rid other) {
            if (other > rid) explained_.insert(other);
            return true;
        });
    }

    bool find_targets(const Allowance& allowance) {
        if (targets_) return true;
        if (!join_) join_ = std::make_unique<Join>(run_, *source_);
        while (true) {
            const auto rid = join_->seek_within(next_source_, allowance.limit());
            if (!rid) return false;
            if (*rid == no_rid) break;
            if (!is_explained(*rid)) read_targets(*rid);
            next_source_ = *rid + 1;
        }
        if (run_.failed()) return false;
        sort_unique(found_);
        targets_ = std::move(found_);
        return true;
    }

    Run& run_;
    Name param_;
    std::unique_ptr<AllNode> source_;
    std::unique_ptr<KeyStream> from_here_;
    std::unique_ptr<Join> sources_here_;
    std::unique_ptr<Join> join_;
    std::vector<Rid> found_;
    std::unordered_set<Rid> known_;  ///< those found
    Rid next_source_ = 1;
    std::size_t sources_ = 0;            ///< met so far
    std::unordered_set<Rid> charted_;    ///< targets whose charts were read
    std::unordered_set<Rid> explained_;  ///< sources to come whose only target is known
    std::optional<std::vector<Rid>> targets_;
    std::optional<Chart> chart_;
    std::size_t chart_hits_ = 0;
    std::size_t vain_tests_ = 0;
    bool is_chart_in_vain_ = false;
};

class TextNode final : public Node {
 public:
    TextNode(Run& run, std::string match, int field, bool any_type)
        : run_(run), match_(std::move(match)), field_(field), any_type_(any_type) {}
    bool test(Candidate& candidate) override {
        if (!tested_) tested_ = std::make_unique<TextStream>(run_, match_, field_);
        return tested_->seek(candidate.rid()) == candidate.rid();
    }
    int rank() const override { return 5; }
    std::size_t stream_width() const override { return 1; }
    std::unique_ptr<Stream> stream() override {
        return std::make_unique<TextStream>(run_, match_, field_);
    }
    // The full-text table holds all types.
    bool scan_proves_type() const override { return any_type_; }
    bool test_proves_type() const override { return any_type_; }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        return drain(*stream(), out, allowance);
    }

 private:
    Run& run_;
    std::string match_;
    int field_;
    bool any_type_;
    std::unique_ptr<TextStream> tested_;
};

/// Full text, asked about one resource after the other: what others' texts hold is not met.
class TextHereNode final : public Node {
 public:
    TextHereNode(Run& run, std::string match, int field)
        : cursor_(run, Sql::text_here), match_(std::move(match)), field_(field) {}
    bool test(Candidate& candidate) override {
        cursor_.open(match_, candidate.rid() * 2 + field_);
        return cursor_.next();
    }
    int rank() const override { return 5; }
    bool can_open() const override { return false; }
    bool test_proves_type() const override { return false; }

 protected:
    bool collect(std::vector<Rid>&, const Allowance&) override { return false; }

 private:
    Cursor cursor_;
    std::string match_;
    int field_;
};

class PatientNode final : public Node {
 public:
    PatientNode(Run& run, const OfPatient& condition, std::vector<Rid> patients)
        : run_(run),
          type_(condition.type),
          patients_(std::move(patients)),
          codes_(condition.codes),
          from_(condition.date_from),
          below_(condition.date_below) {
        if (codes_.empty()) codes_.push_back(0);
        std::sort(codes_.begin(), codes_.end());
    }
    bool test(Candidate& candidate) override {
        PatientWalker row = candidate.rows().patients();
        while (row.next()) {
            if (contains(patients_, row.patient) && contains(codes_, row.code) &&
                row.date >= from_ && row.date < below_) {
                return true;
            }
        }
        if (row.in.damaged()) note_damage(candidate.run(), candidate.rid());
        return false;
    }
    bool test_proves_type() const override { return false; }
    std::size_t reach_keys() const override {
        return std::max<std::size_t>(patients_.size() * codes_.size(), 1);
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        Cursor cursor(run_, Sql::patient_range);
        for (const Rid patient : patients_) {
            for (const std::int64_t code : codes_) {
                cursor.open(patient, type_, code, from_, below_);
                if (!take_all(cursor, out, allowance)) return false;
            }
        }
        return true;
    }

 private:
    Run& run_;
    Name type_;
    std::vector<Rid> patients_;
    std::vector<std::int64_t> codes_;
    std::int64_t from_;
    std::int64_t below_;
};

/// What concerns a patient, of any type.
class CompartmentNode final : public Node {
 public:
    CompartmentNode(Run& run, Rid patient, bool any_type)
        : run_(run),
          patient_(patient),
          patient_lives_(facts_of(run, patient).live),
          any_type_(any_type) {}
    bool test(Candidate& candidate) override {
        if (candidate.rid() == patient_) return patient_lives_;
        CompartmentWalker row = candidate.rows().compartments();
        while (row.next()) {
            if (row.patient == patient_) return true;
        }
        if (row.in.damaged()) note_damage(candidate.run(), candidate.rid());
        return false;
    }
    std::size_t stream_width() const override { return 1; }
    std::unique_ptr<Stream> stream() override {
        auto members = std::make_unique<KeyStream>(run_, Sql::compartment_of, patient_);
        if (!patient_lives_) return members;
        std::vector<std::unique_ptr<Stream>> both;
        both.push_back(std::move(members));
        both.push_back(std::make_unique<SetStream>(std::vector<Rid>{patient_}));
        return std::make_unique<UnionStream>(std::move(both));
    }
    bool scan_proves_type() const override { return any_type_; }
    bool test_proves_type() const override { return any_type_; }
    std::size_t reach_keys() const override { return 1; }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        return drain(*stream(), out, allowance);
    }

 private:
    Run& run_;
    Rid patient_;
    bool patient_lives_;
    bool any_type_;
};

class ChangedNode final : public Node {
 public:
    ChangedNode(Run& run, const ChangedWithin& condition, Name type)
        : run_(run), condition_(condition), type_(type) {}
    bool test(Candidate& candidate) override {
        const ResourceFacts& facts = candidate.facts();
        return candidate.is(type_) && facts.position >= condition_.from &&
               facts.position < condition_.below;
    }
    int rank() const override { return 2; }
    /// Positions are dense: the interval tells at once what reading it would take.
    std::optional<std::uint64_t> price(std::uint64_t) override {
        return entries() * (is_to_the_end() ? 1 : work_per_resource);
    }

 protected:
    bool collect(std::vector<Rid>& out, const Allowance& allowance) override {
        if (entries() > allowance.left()) return false;
        if (condition_.from > last()) return true;
        Cursor cursor(run_, type_ == 0 ? Sql::log_range : Sql::log_type_range);
        if (type_ == 0) {
            cursor.open(condition_.from, condition_.below);
        } else {
            cursor.open(type_, condition_.from, condition_.below);
        }
        constexpr std::int64_t deletion = 3;
        std::unordered_map<Rid, bool> lives;
        while (cursor.next()) {
            lives[cursor.integer(0)] = cursor.integer(1) != deletion;
            if (allowance.spent()) return false;
        }
        // The last entry of a resource is its newest version, unless later ones lie beyond the
        // interval.
        const bool to_the_end = is_to_the_end();
        for (const auto& [rid, live] : lives) {
            if (!live) continue;
            if (to_the_end || facts_of(run_, rid).position < condition_.below) out.push_back(rid);
            if (allowance.spent()) return false;
        }
        return true;
    }

 private:
    Position last() {
        if (!last_) {
            Cursor end(run_, Sql::log_last);
            end.open();
            last_ = end.next() ? end.integer(0) : -1;
        }
        return *last_;
    }
    bool is_to_the_end() { return condition_.below > last(); }
    /// What has to be read for the interval: of one type only versions, which are fewer than the
    /// entries, often by far. Entries are dense, and so are the numbers of the audit's among them.
    std::uint64_t entries() {
        if (entries_) return *entries_;
        const Position from = std::max(condition_.from, Position{0});
        const Position below = std::min(condition_.below, last() + 1);
        const Position audits =
            type_ != 0 && below > from ? audits_below(below) - audits_below(from) : 0;
        entries_ = static_cast<std::uint64_t>(std::max(below - from - audits, Position{0}));
        return *entries_;
    }
    std::int64_t audits_below(Position position) {
        Cursor cursor(run_, Sql::audits_below);
        cursor.open(position);
        return cursor.next() ? cursor.integer(0) : 0;
    }

    Run& run_;
    ChangedWithin condition_;
    Name type_;
    std::optional<Position> last_;  ///< of the log
    std::optional<std::uint64_t> entries_;
};

/// FTS5 string syntax: a word or phrase in double quotes, a double quote inside doubled; one after
/// the other means AND; a star behind the last stands for all words that start so.
std::string match_of(const HasText& condition) {
    std::string match;
    std::size_t at = 0;
    const auto quote = [&match](std::string_view text) {
        if (text.empty()) return;
        if (!match.empty()) match += ' ';
        match += '"';
        for (const char c : text) {
            if (c == '\0') continue;
            if (c == '"') match += '"';
            match += c;
        }
        match += '"';
    };
    const std::string_view words = condition.words;
    if (condition.phrase) {
        quote(words);
    } else {
        while (at <= words.size()) {
            const std::size_t end = std::min(words.find(' ', at), words.size());
            quote(words.substr(at, end - at));
            at = end + 1;
        }
    }
    if (condition.prefix && !match.empty()) match += " *";
    return match;
}

}  // namespace

namespace {

/// The current resources of `type` to which one of `sources` refers.
std::vector<Rid> targets_of(Run& run, const std::vector<Rid>& sources, Name param, Name type) {
    std::vector<Rid> targets;
    for (const Rid rid : sources) {
        Candidate source(run, rid);
        any_row(source, source.rows().references(), param, [&](auto& row) {
            targets.push_back(row.target);
            return false;
        });
    }
    if (targets.empty()) return targets;
    sort_unique(targets);
    std::erase_if(targets, [&](Rid rid) { return !Candidate(run, rid).is(type); });
    return targets;
}

}  // namespace

std::unique_ptr<Node> prepare_link(Run& run, const HasId& condition, Name type) {
    if (type != 0 && condition.type != type) return never();
    std::vector<Rid> rids;
    for (const std::string& id : condition.ids) {
        const Rid rid = rid_of(run, Identity{condition.type, id});
        if ((rid != 0 || run.is_even()) && facts_of(run, rid).live) rids.push_back(rid);
    }
    if (rids.empty() && !run.is_even()) return never();
    sort_unique(rids);
    return std::make_unique<RidsNode>(std::move(rids));
}

std::unique_ptr<Node> prepare_link(Run& run, const HasReference& condition, Name) {
    auto targets = rids_of(run, condition.targets);
    if (targets.empty() && !run.is_even()) return never();
    return std::make_unique<ReferenceNode>(run, condition.param, std::move(targets));
}

std::unique_ptr<Node> prepare_link(Run& run, const HasText& condition, Name type) {
    std::string match = match_of(condition);
    if (match.empty()) return never();
    const bool content =
        run.names().text(NameKind::parameter, condition.param).ends_with("_content");
    if (run.is_even())
        return std::make_unique<TextHereNode>(run, std::move(match), content ? 1 : 0);
    return std::make_unique<TextNode>(run, std::move(match), content ? 1 : 0, type == 0);
}

std::unique_ptr<Node> prepare_link(Run& run, const RefersTo& condition, Name) {
    if (condition.target == nullptr) return never();
    if (auto targets = linked_matches(run, *condition.target, condition.target_type)) {
        if (targets->empty() && !run.is_even()) return never();
        return std::make_unique<ReferenceNode>(run, condition.param, *std::move(targets));
    }
    auto target = prepare(run, *condition.target, condition.target_type);
    if (target->constant() == false) return never();
    return std::make_unique<RefersNode>(run, condition.param, std::move(target), condition.chart);
}

std::unique_ptr<Node> prepare_link(Run& run, const ReferredBy& condition, Name type) {
    if (condition.source == nullptr) return never();
    if (const auto sources = linked_matches(run, *condition.source, condition.source_type)) {
        auto targets = targets_of(run, *sources, condition.param, type);
        if (targets.empty() && !run.is_even()) return never();
        return std::make_unique<RidsNode>(std::move(targets));
    }
    auto source = prepare(run, *condition.source, condition.source_type);
    if (source->constant() == false) return never();
    return std::make_unique<ReferredNode>(run, condition.param, std::move(source), condition.chart);
}

std::unique_ptr<Node> prepare_link(Run& run, const OfPatient& condition, Name type) {
    if (type != 0 && condition.type != type) return never();
    auto patients = rids_of(run, condition.patients);
    if (patients.empty() && !run.is_even()) return never();
    auto of_patient = std::make_unique<PatientNode>(run, condition, std::move(patients));
    if (type != 0) return of_patient;
    Nodes parts;
    parts.push_back(std::move(of_patient));
    parts.push_back(std::make_unique<TypeNode>(run, condition.type));
    return std::make_unique<AllNode>(run, type, std::move(parts));
}

std::unique_ptr<Node> prepare_link(Run& run, const InCompartment& condition, Name type) {
    if (type != 0 && condition.type != 0 && condition.type != type) return never();
    const Rid patient = rid_of(run, condition.patient);
    if (patient == 0 && !run.is_even()) return never();
    auto member = std::make_unique<CompartmentNode>(run, patient, type == 0);
    if (type != 0 || condition.type == 0) return member;
    Nodes parts;
    parts.push_back(std::move(member));
    parts.push_back(std::make_unique<TypeNode>(run, condition.type));
    return std::make_unique<AllNode>(run, type, std::move(parts));
}

std::unique_ptr<Node> prepare_link(Run& run, const ChangedWithin& condition, Name type) {
    if (condition.below <= condition.from) return never();
    return std::make_unique<ChangedNode>(run, condition, type);
}

}  // namespace meridian::store::sqlite
