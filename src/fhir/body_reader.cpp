// SPDX-License-Identifier: Apache-2.0
#include "fhir/body_reader.hpp"

#include "base/hash.hpp"
#include "base/json.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/parameters.hpp"
#include "store/codec.hpp"

namespace meridian::fhir {

namespace {

Result<std::string> plain_json(const Cipher& cipher, const store::Stored& stored) {
    const std::string opened = TRY(cipher.open(stored.body));
    return TRY(store::decode(opened)).json;
}

/// The registry of the specification's parameters for one store's dictionaries, made once per
/// store.
class Registries {
 public:
    std::shared_ptr<const search::Parameters> of(store::Names& names) {
        const std::lock_guard lock(mutex_);
        if (names_ != &names) {
            parameters_ = search::Parameters::make(definitions(), names);
            names_ = &names;
        }
        return parameters_;
    }

 private:
    std::mutex mutex_;
    const store::Names* names_ = nullptr;
    std::shared_ptr<const search::Parameters> parameters_;
};

}  // namespace

store::BodyReader body_reader(std::shared_ptr<const Cipher> cipher, std::string base_url,
                              int zone_minutes) {
    store::BodyReader reader;
    reader.hash = [cipher](const store::Stored& stored) -> Result<Sha256> {
        return sha256(TRY(plain_json(*cipher, stored)));
    };
    auto registries = std::make_shared<Registries>();
    reader.rows = [cipher, registries, base_url = std::move(base_url), zone_minutes](
                      const store::Stored& stored, store::Names& names) -> Result<store::Rows> {
        const auto parameters = registries->of(names);
        const JsonDocument document = TRY(JsonDocument::parse(TRY(plain_json(*cipher, stored))));
        return search::extract(*parameters, parameters->type_text(stored.type), document.root(),
                               names, {.base_url = base_url, .zone_minutes = zone_minutes});
    };
    return reader;
}

}  // namespace meridian::fhir
