// SPDX-License-Identifier: Apache-2.0
// For tests/merkle/run: a tree, entries and proofs that another implementation verifies.
#include <fstream>
#include <random>

#include "trust/merkle/pages.hpp"
#include "trust/merkle/tree_test_support.hpp"

namespace meridian::trust::merkle {
namespace {

class MerkleInterop : public TreeTest {
 protected:
    std::string page(const std::string& target) {
        net::Request request;
        request.target = target;
        const net::Response response = Pages(*keeper_).handle(request).value();
        EXPECT_EQ(response.status, 200) << target << response.body;
        return response.body;
    }
    std::string line_of(const store::LogEntry& entry) {
        const auto text = [&](store::NameKind kind, store::Name name) {
            return store_->names().text(kind, name);
        };
        const auto hex = [](const auto& bytes) {
            return to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        };
        return fmt::format(
            R"({{"position":{},"at":{},"kind":{},"type":"{}","id":"{}","version":{},"verb":{},)"
            R"("actor":"{}","organisation":"{}","salt":"{}","body_hash":"{}"}})"
            "\n",
            entry.position, entry.at.milliseconds, entry.kind,
            text(store::NameKind::type, entry.type), entry.id, entry.version,
            static_cast<int>(entry.verb), text(store::NameKind::actor, entry.actor),
            text(store::NameKind::actor, entry.organisation), hex(entry.salt),
            hex(entry.body_hash));
    }
};

TEST_F(MerkleInterop, WritesWhatOthersVerify) {
    const char* out = std::getenv("MERIDIAN_MERKLE_OUT");
    if (out == nullptr) GTEST_SKIP() << "tests/merkle/run verifies it with Go";
    const std::string folder = out;
    open_store();
    open_keeper("hospital.example/record");
    std::mt19937_64 random(5);
    for (int round = 0; round < 12; ++round) {
        write(1 + random() % 150);
        must(keeper_->sign_now());
        if (round == 6) must(keeper_->rotate_key());
    }
    const std::uint64_t size = keeper_->newest()->checkpoint.size;
    std::ofstream entries(folder + "/entries.ndjson");
    for (const auto& entry : must(must(store_->snapshot())->log(0, size)))
        entries << line_of(entry);
    std::ofstream inclusion(folder + "/inclusion.ndjson");
    std::ofstream consistency(folder + "/consistency.ndjson");
    for (int round = 0; round < 400; ++round) {
        const std::uint64_t second = 1 + random() % size, first = 1 + random() % second;
        inclusion << page(
            fmt::format("/log/proof/inclusion?position={}&size={}", random() % second, second));
        consistency << page(
            fmt::format("/log/proof/consistency?first={}&second={}", first, second));
    }
    for (const char* part : {"tree", "keys"})
        std::filesystem::copy(folder_.path() + "/" + part, folder + "/" + part,
                              std::filesystem::copy_options::recursive);
}

}  // namespace
}  // namespace meridian::trust::merkle
