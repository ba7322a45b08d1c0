// SPDX-License-Identifier: Apache-2.0
// Subscription resources of any shape: what is accepted must keep the promises of Definition.
#include <cstdlib>

#include "base/limits.hpp"
#include "fhir/definitions/definitions.hpp"
#include "net/url.hpp"
#include "rest/subscriptions/definition.hpp"

namespace {

/// A property that must hold whatever came in.
void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    using namespace meridian;
    using namespace meridian::rest::subscriptions;
    const auto document = JsonDocument::parse({reinterpret_cast<const char*>(data), size});
    if (!document) return 0;
    const auto definition = read_definition(document->root());
    if (!definition) return 0;
    require(fhir::definitions().resource(definition->type) != nullptr);
    require(definition->is_topic == !definition->topic.empty());
    require(definition->events_max >= 1 &&
            definition->events_max <= limits::subscription_notification_events);
    require(definition->timeout_seconds >= 1 &&
            definition->timeout_seconds <= limits::subscription_timeout_seconds_max);
    require(definition->headers.size() <= limits::subscription_headers_max);
    if (definition->channel == Channel::rest_hook)
        require(net::Url::parse(definition->endpoint).has_value());
    return 0;
}
