// SPDX-License-Identifier: Apache-2.0
#include "fhir/body_reader.hpp"

#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/limits.hpp"
#include "fhir/search/extract.hpp"
#include "fhir/search/parameters.hpp"
#include "fhir/token_key.hpp"
#include "store/codec.hpp"

namespace meridian::fhir {

namespace {

Result<std::string> plain_json(const Cipher& cipher, const store::Stored& stored) {
    const std::string opened = TRY(cipher.open(stored));
    return TRY(store::decode(opened)).json;
}

/// The registry of parameters for one store's dictionaries, made once per store.
class Registries {
 public:
    explicit Registries(std::vector<std::string> own) : own_(std::move(own)) {}

    std::shared_ptr<const search::Parameters> of(store::Names& names) {
        const std::lock_guard lock(mutex_);
        if (names_ != &names) {
            parameters_ = search::Parameters::make(definitions(), names);
            for (const std::string& json : own_) add(json, names);
            names_ = &names;
        }
        return parameters_;
    }

 private:
    /// One that cannot be used is not used by the server either.
    void add(const std::string& json, store::Names& names) {
        const auto document = JsonDocument::parse(json);
        if (!document) return;
        if (const auto change = parameters_->with(document->root(), names))
            parameters_ = change->parameters;
    }

    std::vector<std::string> own_;
    std::mutex mutex_;
    const store::Names* names_ = nullptr;
    std::shared_ptr<const search::Parameters> parameters_;
};

}  // namespace

Result<std::vector<std::string>> own_search_parameters(store::Store& store, const Cipher& cipher) {
    std::vector<std::string> found;
    const store::Name type = store.names().find(store::NameKind::type, "SearchParameter");
    if (type == 0) return found;
    const auto snapshot = TRY(store.scan());
    for (store::Rid after = 0;;) {
        const auto batch =
            TRY(snapshot->walk(type, snapshot->position(), after, limits::reindex_batch_resources));
        if (batch.empty()) return found;
        after = batch.back().rid;
        for (const store::Stored& stored : batch) found.push_back(TRY(plain_json(cipher, stored)));
    }
}

store::BodyReader body_reader(std::shared_ptr<const Cipher> cipher, std::string base_url,
                              int zone_minutes, std::vector<std::string> search_parameters) {
    store::BodyReader reader;
    reader.hash = [cipher](const store::Stored& stored) -> Result<Sha256> {
        return sha256(TRY(plain_json(*cipher, stored)));
    };
    auto registries = std::make_shared<Registries>(std::move(search_parameters));
    reader.rows = [cipher, registries, base_url = std::move(base_url), zone_minutes](
                      const store::Stored& stored, store::Names& names) -> Result<store::Rows> {
        const auto parameters = registries->of(names);
        auto json = plain_json(*cipher, stored);
        // Its person was erased after the backup was made: nothing is to be found by it.
        if (!json && json.error().category == Category::gone) return store::Rows();
        const JsonDocument document = TRY(JsonDocument::parse(TRY(std::move(json))));
        const auto key = token_key_of(*cipher);
        KeyedNames keyed(names, key.value_or(names.token_key()));
        return search::extract(*parameters, parameters->type_text(stored.type), document.root(),
                               keyed, {.base_url = base_url, .zone_minutes = zone_minutes});
    };
    return reader;
}

}  // namespace meridian::fhir
