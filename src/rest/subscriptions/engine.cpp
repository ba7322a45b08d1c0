// SPDX-License-Identifier: Apache-2.0
#include "rest/subscriptions/engine.hpp"

#include "base/log.hpp"
#include "fhir/search/conditional.hpp"
#include "fhir/search/parameters.hpp"
#include "fhir/search/run.hpp"

namespace meridian::rest::subscriptions {

namespace {

constexpr std::string_view view_name = "subscriptions";
constexpr std::string_view own_actor = "Device/subscriptions";

/// Ties the engine to the repository, which keeps its views for ever.
class View final : public fhir::FollowingView {
 public:
    explicit View(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}
    std::string_view name() const override { return view_name; }
    Result<void> follow(store::Snapshot& snapshot,
                        std::span<const store::LogEntry> entries) override {
        return engine_->follow(snapshot, entries);
    }
    Result<void> begin(store::Snapshot& snapshot, store::Position next) override {
        return engine_->begin(snapshot, next);
    }
    void end() override { engine_->end(); }

 private:
    std::shared_ptr<Engine> engine_;
};

}  // namespace

std::string delivered_key(std::string_view id) {
    return fmt::format("subscription-delivered:{}", id);
}

std::shared_ptr<fhir::FollowingView> make_view(std::shared_ptr<Engine> engine) {
    return std::make_shared<View>(std::move(engine));
}

Engine::Engine(fhir::Repository& repository, Subscriptions::Options options)
    : repository_(repository), options_(std::move(options)) {
    websocket_handler.on_message = [this](const net::WebSocketPointer& socket,
                                          std::string_view message, bool is_binary) {
        if (!is_binary) receive(socket, message);
    };
    websocket_handler.on_close = [this](const net::WebSocketPointer& socket, std::uint16_t,
                                        std::string_view) { unbind(socket); };
    websocket_handler.on_open = [this](const net::WebSocketPointer& socket) { open(socket); };
    websocket_handler.refuse = [this](const net::Request& request) -> std::optional<net::Response> {
        // RFC 6455 §10.2: no rule of browsers keeps a page from opening sockets to other origins.
        if (const auto origin = request.headers.find("Origin");
            origin && (!options_.may_open || !options_.may_open(request, *origin)))
            return Service::error_response(403,
                                           "pages of this origin may not open WebSockets here");
        if (is_in_office()) return std::nullopt;
        return refusal_of_sockets();
    };
}

Engine::~Engine() {
    stop();
}

Result<void> Engine::start(std::string base_url) {
    base_url_ = std::move(base_url);
    for (unsigned i = 0; i < std::max(1u, options_.delivery_threads); ++i)
        threads_.emplace_back([this] { deliver_all(); });
    return {};
}

void Engine::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
    threads_.clear();
}

/// The subscriptions as they were where the log was left: what happened to them since, the log
/// tells again.
Result<void> Engine::begin(store::Snapshot& snapshot, store::Position next) {
    end();
    const store::Name type = repository_.parameters()->type_name("Subscription");
    store::Rid after = 0;
    while (true) {
        const auto page = TRY(snapshot.walk(type, next - 1, after, limits::page_size_max));
        if (page.empty()) break;
        for (const store::Stored& stored : page) {
            after = stored.rid;
            TRY(apply(snapshot, stored));
        }
    }
    const std::lock_guard lock(mutex_);
    in_office_ = true;
    return {};
}

/// Who wrote the subscription: the newest version that is not our own change of its status.
Result<fhir::Caller> Engine::owner_of(store::Snapshot& snapshot, const store::Stored& stored) {
    fhir::Caller owner = fhir::Caller::system("subscriptions");
    store::HistoryScope scope;
    scope.type = stored.type;
    scope.id = stored.id;
    scope.before = stored.position + 1;
    scope.limit = limits::subscription_owner_versions;
    for (const store::Stored& version : TRY(snapshot.history(scope))) {
        const auto entries = TRY(snapshot.log(version.position, 1));
        if (entries.empty() || entries.front().actor == 0) continue;
        std::string actor =
            repository_.store().names().text(store::NameKind::actor, entries.front().actor);
        if (actor == own_actor) continue;
        owner.actor = std::move(actor);
        break;
    }
    if (options_.caller_of && owner.actor != own_actor) return options_.caller_of(owner.actor);
    return owner;
}

void Engine::end() {
    const std::lock_guard lock(mutex_);
    in_office_ = false;
    close_sockets();
    while (!subscriptions_.empty()) forget(std::string(subscriptions_.begin()->first));
}

/// Also of a subscription that was active before the operator's list changed.
void Engine::refuse_unlisted_endpoint(Subscription& made) const {
    if (!options_.may_post_to || !made.definition ||
        made.definition->channel != Channel::rest_hook ||
        options_.may_post_to(made.definition->endpoint))
        return;
    made.definition = nullptr;
    made.refusal =
        "Subscription.channel.endpoint: the server's configuration does not list it under "
        "subscription.endpoints";
}

Result<void> Engine::apply(store::Snapshot& snapshot, const store::Stored& stored) {
    std::string status;
    auto made = std::make_shared<Subscription>();
    made->id = stored.id;
    made->version = stored.version;
    if (!stored.deleted()) {
        const fhir::Resource resource = TRY(repository_.decode(stored));
        const JsonDocument document = TRY(JsonDocument::parse(resource.json));
        status = document.root().string_at("status");
        if (auto read = read_definition(document.root())) {
            made->definition = std::make_shared<Definition>(*std::move(read));
        } else {
            made->refusal = fmt::format("{}: {}", read.error().where, read.error().message);
        }
        refuse_unlisted_endpoint(*made);
    }
    const auto newest = TRY(snapshot.find({stored.type, stored.id}));
    const bool is_newest = newest && newest->version == stored.version;
    // A request that has been decided upon already, or a faulty one that was replaced, is history.
    const bool is_history = !is_newest && (status == "requested" || !made->definition);
    if ((status != "active" && status != "requested") || is_history) {
        const std::lock_guard lock(mutex_);
        forget(stored.id);
        return {};
    }
    made->phase = !made->definition    ? Phase::refused
                  : status == "active" ? Phase::active
                                       : Phase::requested;
    auto owner = owner_of(snapshot, stored);
    if (owner) {
        made->owner = *std::move(owner);
    } else if (owner.error().category == Category::forbidden) {
        made->definition = nullptr;
        made->phase = Phase::refused;
        made->refusal = "whoever wrote it may not see what it asks for";
    } else {
        return std::unexpected(std::move(owner).error());
    }
    made->numbers = TRY(EventNumbers::load(repository_.store(), stored.id));
    if (made->definition && made->definition->channel == Channel::websocket)
        made->delivered = made->numbers.last_number();
    if (const auto kept = TRY(repository_.store().setting(delivered_key(stored.id))))
        std::from_chars(kept->data(), kept->data() + kept->size(), made->delivered);
    install(made);
    return {};
}

void Engine::install(const SubscriptionPointer& made) {
    const std::lock_guard lock(mutex_);
    const auto known = subscriptions_.find(made->id);
    if (known != subscriptions_.end()) {
        made->sockets = known->second->sockets;
        made->plain_sockets = known->second->plain_sockets;
        made->delivered = std::max(made->delivered, known->second->delivered);
    } else if (subscriptions_.size() >= limits::subscriptions_max) {
        made->definition = nullptr;
        made->phase = Phase::refused;
        made->refusal =
            fmt::format("this server serves at most {} subscriptions", limits::subscriptions_max);
    }
    forget(made->id);
    made->last_sent = Clock::now();
    subscriptions_.emplace(made->id, made);
    if (made->phase == Phase::active) active_by_type_[made->definition->type].push_back(made);
    schedule(*made, Clock::now());
}

void Engine::forget(const std::string& id) {
    const auto found = subscriptions_.find(id);
    if (found == subscriptions_.end()) return;
    const SubscriptionPointer subscription = found->second;
    schedule_.erase({subscription->due, subscription});
    if (subscription->definition) {
        const auto of_type = active_by_type_.find(subscription->definition->type);
        if (of_type != active_by_type_.end()) {
            std::erase(of_type->second, subscription);
            if (of_type->second.empty()) active_by_type_.erase(of_type);
        }
    }
    subscriptions_.erase(found);
}

void Engine::schedule(Subscription& subscription, Clock::time_point due) {
    const auto found = subscriptions_.find(subscription.id);
    if (found == subscriptions_.end() || found->second.get() != &subscription) return;
    schedule_.erase({subscription.due, found->second});
    subscription.due = due;
    if (due == Clock::time_point::max() || subscription.is_busy) return;
    schedule_.emplace(due, found->second);
    changed_.notify_one();
}

Result<EventNumbers> Engine::numbers_of(const std::string& id) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = subscriptions_.find(id); found != subscriptions_.end())
            return found->second->numbers;
    }
    return EventNumbers::load(repository_.store(), id);
}

bool Engine::has(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return subscriptions_.find(id) != subscriptions_.end();
}

Result<store::Condition> Engine::condition_of(const Definition& definition,
                                              const fhir::Caller& owner,
                                              store::Snapshot& snapshot) {
    const auto parameters = repository_.parameters();
    if (definition.filters.empty())
        return owner.access->visible(parameters->type_name(definition.type));
    const fhir::search::SnapshotTimeline timeline(snapshot);
    fhir::search::ParseOptions options;
    options.base_url = base_url_;
    options.now = now();
    options.access = owner.access;
    options.concepts = options_.concepts.get();
    options.timeline = &timeline;
    const auto plan = TRY(fhir::search::conditional_plan(
        *parameters, repository_.store().names(), definition.type, definition.filters, options, 1));
    return fhir::search::clone(plan->where);
}

}  // namespace meridian::rest::subscriptions
