// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/keeper.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/file.hpp"
#include "base/json.hpp"
#include "net/server.hpp"
#include "trust/merkle/leaf.hpp"
#include "trust/merkle/pages.hpp"
#include "trust/merkle/tree_test_support.hpp"

namespace meridian::trust::merkle {
namespace {

class MerkleKeeper : public TreeTest {
 protected:
    void SetUp() override { open_store(); }
    /// The root over the log as it is, by another way than the keeper's.
    Hash root_of_log() {
        const auto snapshot = must(store_->snapshot());
        LeafMaker leaves(store_->names());
        Frontier frontier;
        for (const auto& entry : must(snapshot->log(0, 100'000)))
            frontier.append(leaves.leaf(entry));
        return frontier.root();
    }
};

// What a third party must do, done here by hand.
TEST(MerkleLeaf, HasTheBytesOfItsDocument) {
    store::LogEntry entry;
    entry.position = 258;
    entry.at.milliseconds = -1;
    entry.kind = 1;
    entry.rid = 77;
    entry.id = "a";
    entry.version = 3;
    entry.verb = store::Verb::remove;
    entry.salt.fill(0xAA);
    entry.body_hash.fill(0xBB);
    const std::string zeros(7, '\0');
    const auto number = [&](char last) { return zeros + last; };
    EXPECT_EQ(leaf_bytes(entry, {"Basic", "Practitioner/7", ""}),
              "meridian leaf/1\n" + std::string("\0\0\0\0\0\0\1\2", 8) + std::string(8, '\xff') +
                  number(1) + number(5) + "Basic" + number(1) + "a" + number(3) + number(3) +
                  number(14) + "Practitioner/7" + number(0) + std::string(16, '\xAA') +
                  std::string(32, '\xBB'));
}

TEST(MerkleLeaf, EveryFieldCounts) {
    const store::LogEntry entry{.position = 1, .at = {2}, .kind = 0, .id = "ab", .version = 1};
    const EntryNames names{"Basic", "x", "y"};
    const std::string bytes = leaf_bytes(entry, names);
    const auto differs = [&](auto change) {
        store::LogEntry other = entry;
        change(other);
        return leaf_bytes(other, names) != bytes;
    };
    EXPECT_TRUE(differs([](auto& other) { other.position = 2; }));
    EXPECT_TRUE(differs([](auto& other) { other.at.milliseconds = 3; }));
    EXPECT_TRUE(differs([](auto& other) { other.kind = 1; }));
    EXPECT_TRUE(differs([](auto& other) { other.id = "ac"; }));
    EXPECT_TRUE(differs([](auto& other) { other.version = 2; }));
    EXPECT_TRUE(differs([](auto& other) { other.verb = store::Verb::update; }));
    EXPECT_TRUE(differs([](auto& other) { other.salt[15] = 1; }));
    EXPECT_TRUE(differs([](auto& other) { other.body_hash[31] = 1; }));
    EXPECT_FALSE(differs([](auto& other) { other.rid = 9; })) << "a number of one store only";
    EXPECT_NE(leaf_bytes(entry, {"Basi", "cx", "y"}), bytes) << "fields are framed";
    EXPECT_NE(leaf_bytes(entry, {"Basic", "xy", ""}), bytes);
}

TEST_F(MerkleKeeper, AnEmptyLogHasNoCheckpoint) {
    open_keeper();
    EXPECT_FALSE(must(keeper_->sign_now()));
    EXPECT_FALSE(keeper_->newest());
}

TEST_F(MerkleKeeper, SignsWhatTheLogIsAndOnlyWhenItHasGrown) {
    open_keeper("hospital.example/record");
    write(300);
    const auto first = must(keeper_->sign_now());
    ASSERT_TRUE(first);
    EXPECT_EQ(first->checkpoint.origin, "hospital.example/record");
    EXPECT_EQ(first->checkpoint.size, 300u);
    EXPECT_EQ(first->checkpoint.root, root_of_log());
    EXPECT_EQ(must(verify(first->note, keeper_->keys())), 1u);
    must(keeper_->sign_now());
    write(1);
    must(keeper_->sign_now());
    int notes = 0;
    must(CheckpointFile::read(checkpoints_path(folder_.path()),
                              [&](std::string_view) -> Result<void> {
                                  ++notes;
                                  return {};
                              }));
    EXPECT_EQ(notes, 2);
    EXPECT_EQ(keeper_->newest()->checkpoint.root, root_of_log());
}

TEST_F(MerkleKeeper, GoesOnAfterARestart) {
    for (int round = 0; round < 5; ++round) {
        write(130);
        open_keeper();
        must(keeper_->sign_now());
        EXPECT_EQ(keeper_->newest()->checkpoint.root, root_of_log());
        keeper_.reset();
    }
    expect_clean();
}

TEST_F(MerkleKeeper, OneProcessKeepsATree) {
    open_keeper();
    const auto second = Keeper::open(*store_, {.data_folder = folder_.path()});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().category, Category::unavailable);
    keeper_.reset();
    open_keeper();
}

TEST_F(MerkleKeeper, TheThreadSignsByItself) {
    write(10);
    keeper_ = must(Keeper::open(
        *store_, {.data_folder = folder_.path(), .interval = std::chrono::milliseconds(5)}));
    keeper_->start();
    const auto has_size = [&](std::uint64_t size) {
        for (int i = 0; i < 3'000; ++i) {
            const auto newest = keeper_->newest();
            if (newest && newest->checkpoint.size == size) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return false;
    };
    EXPECT_TRUE(has_size(10));
    write(7);
    EXPECT_TRUE(has_size(17));
    keeper_->stop();
}

TEST_F(MerkleKeeper, ARestoredStoreHasTheSameTree) {
    if (on_postgres()) GTEST_SKIP() << "a folder is backed up";
    open_keeper();
    write(300);
    const Checkpoint before = must(keeper_->sign_now())->checkpoint;
    const store::TestFolder other;
    const std::string backup = other.path() + "/backup", restored = other.path() + "/restored";
    must(store::backup(folder_.path(), backup));
    must(store::restore(backup, restored, store::test_reader()));
    const auto store = must(store::open({.folder = restored, .create = false}));
    const auto keeper = must(Keeper::open(*store, {.data_folder = restored}));
    const auto after = must(keeper->sign_now());
    EXPECT_EQ(after->checkpoint.root, before.root);
    EXPECT_EQ(after->checkpoint.size, before.size);
    EXPECT_NE(after->checkpoint.origin, before.origin) << "another folder is another log";
}

TEST_F(MerkleKeeper, TornTilesAreMadeAgain) {
    write(700);
    open_keeper();
    must(keeper_->sign_now());
    keeper_.reset();
    for (int which = 0; which < 4; ++which) {
        const auto size = static_cast<std::uint64_t>(entries());
        const TilePlace places[] = {
            {0, 0, 256}, {0, 1, 256}, tile_of(0, size - 1, size), tile_of(1, 0, size)};
        std::filesystem::resize_file(tile(places[which]), 17);
        open_keeper();
        write(1);
        must(keeper_->sign_now());
        EXPECT_EQ(keeper_->newest()->checkpoint.root, root_of_log()) << which;
        keeper_.reset();
        expect_clean();
    }
}

TEST_F(MerkleKeeper, AllTilesAreMadeAgainWhenTheyAreLost) {
    write(700);
    open_keeper();
    must(keeper_->sign_now());
    keeper_.reset();
    std::filesystem::remove_all(tree_folder(folder_.path()) + "/tile");
    open_keeper();
    must(keeper_->sign_now());
    EXPECT_EQ(keeper_->newest()->checkpoint.size, 700u);
    keeper_.reset();
    expect_clean();
}

TEST_F(MerkleKeeper, ALostTileIsNotMadeOfAnAlteredLog) {
    if (store::shows_node_by_node()) GTEST_SKIP() << "the attack is made on one database";
    write(700);
    open_keeper();
    must(keeper_->sign_now());
    close_store();
    attack("UPDATE log SET at = at - 1 WHERE position = 300");
    std::filesystem::remove(tile({0, 1, 256}));
    open_store();
    open_keeper();
    const auto refused = keeper_->sign_now();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, Category::conflict);
    EXPECT_NE(refused.error().message.find("entries 256 to 511"), std::string::npos)
        << refused.error().message;
}

TEST_F(MerkleKeeper, ATreesFolderThatWasEmptiedOrPutBackIsSeen) {
    write(100);
    open_keeper();
    must(keeper_->sign_now());
    keeper_.reset();
    const std::string tree = tree_folder(folder_.path()), old = tree + ".old";
    std::filesystem::copy(tree, old, std::filesystem::copy_options::recursive);
    open_keeper();
    write(100);
    must(keeper_->sign_now());
    keeper_.reset();
    for (const bool is_empty : {true, false}) {
        std::filesystem::remove_all(tree);
        if (!is_empty) std::filesystem::rename(old, tree);
        open_keeper();
        const auto refused = keeper_->sign_now();
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().category, Category::conflict);
        EXPECT_NE(refused.error().message.find("put back or emptied"), std::string::npos);
        keeper_.reset();
        EXPECT_FALSE(verify_now().clean());
    }
}

// A process is killed at whatever it is doing; the next one goes on.
TEST_F(MerkleKeeper, EveryKillIsSurvived) {
    if (on_postgres()) GTEST_SKIP() << "a store on PostgreSQL cannot be shared with a forked child";
    write(3'000);
    close_store();
    for (unsigned round = 0; round < 25; ++round) {
        const pid_t child = ::fork();
        if (child == 0) {
            auto store =
                store::open({.folder = folder_.path(), .create = false, .read_only = true});
            if (!store) ::_exit(1);
            while (true) {
                // The lock of the child before may live a moment longer than it.
                auto keeper = Keeper::open(**store, {.data_folder = folder_.path()});
                if (keeper) static_cast<void>((*keeper)->sign_now());
                keeper = fail(Category::unavailable, "closed");
                // What is lost is made again: there is always something to do when the kill comes.
                std::filesystem::remove_all(tree_folder(folder_.path()) + "/tile");
                if (round % 2 != 0) continue;
                std::filesystem::remove(folder_.path() + "/keys/checkpoint.last");
                std::filesystem::remove(checkpoints_path(folder_.path()));
            }
        }
        ::usleep(1'000 * (1 + round * 2));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
    }
    open_store();
    open_keeper();
    write(10);
    must(keeper_->sign_now());
    EXPECT_EQ(keeper_->newest()->checkpoint.size, 3'010u);
    EXPECT_EQ(keeper_->newest()->checkpoint.root, root_of_log());
    close_store();
    expect_clean();
}

TEST_F(MerkleKeeper, ANewKeySignsAndTheOldOnesGoOnVerifying) {
    open_keeper();
    write(5);
    must(keeper_->sign_now());
    must(keeper_->rotate_key());
    EXPECT_EQ(must(verify(keeper_->newest()->note, keeper_->keys())), 2u)
        << "whoever knows the old key is led to the new one";
    write(5);
    must(keeper_->sign_now());
    EXPECT_EQ(must(verify(keeper_->newest()->note, keeper_->keys())), 1u);
    keeper_.reset();
    expect_clean();
    open_keeper();
    must(keeper_->sign_now());
}

// --- witnesses ---

/// A witness as https://c2sp.org/tlog-witness has it.
class TestWitness {
 public:
    explicit TestWitness(std::vector<VerifierKey> log_keys) : log_keys_(std::move(log_keys)) {
        net::ServerOptions options;
        options.handler = [this](const net::Request& request) { return answer(request); };
        server_ = must(net::Server::start(std::move(options)));
    }
    Witness witness() const {
        return {fmt::format("http://127.0.0.1:{}", server_->port()), key_.verifier()};
    }
    std::uint64_t size = 0;
    bool lies = false;

 private:
    net::Response answer(const net::Request& request) {
        const std::string_view body = request.body;
        const auto split = body.find("\n\n");
        if (request.path() != "/add-checkpoint" || split == std::string_view::npos)
            return net::Response::text(404, "");
        const auto now = SignedCheckpoint::parse(body.substr(split + 2));
        if (!now || verify(now->note, log_keys_).value_or(0) == 0)
            return net::Response::text(403, "");
        std::uint64_t old_size = 0;
        Proof proof;
        std::string_view lines = body.substr(0, split + 1);
        while (!lines.empty()) {
            const std::string line(lines.substr(0, lines.find('\n')));
            lines.remove_prefix(line.size() + 1);
            if (line.starts_with("old ")) {
                old_size = std::stoull(line.substr(4));
                continue;
            }
            std::string bytes;
            Hash hash{};
            EXPECT_TRUE(base64_decode(line, bytes) && bytes.size() == hash.size()) << line;
            std::copy(bytes.begin(), bytes.end(), hash.begin());
            proof.push_back(hash);
        }
        if (old_size != size)
            return net::Response::text(409, fmt::format("{}\n", size), "text/x.tlog.size");
        if (size > 0 &&
            !verify_consistency(size, now->checkpoint.size, proof, root_, now->checkpoint.root))
            return net::Response::text(422, "");
        size = now->checkpoint.size;
        root_ = now->checkpoint.root;
        NoteSignature signature = key_.sign(now->note.text, 1'700'000'000);
        if (lies) signature.bytes[20] ^= 1;
        return net::Response::text(
            200, to_line(SigningKey::make("other.example").sign("x")) + to_line(signature));
    }

    const SigningKey key_ = SigningKey::make("witness.example/w1", KeyType::cosignature);
    std::vector<VerifierKey> log_keys_;
    Hash root_{};
    std::unique_ptr<net::Server> server_;
};

TEST_F(MerkleKeeper, AWitnessSignsWhatContinuesWhatItSignedBefore) {
    open_keeper("a.example");
    TestWitness witness(keeper_->keys());
    keeper_.reset();
    keeper_ = must(
        Keeper::open(*store_, {.data_folder = folder_.path(), .witnesses = {witness.witness()}}));
    for (int round = 0; round < 3; ++round) {
        write(40);
        must(keeper_->sign_now());
        EXPECT_EQ(must(keeper_->ask_witnesses()), 1u);
        EXPECT_EQ(witness.size, keeper_->newest()->checkpoint.size);
        EXPECT_EQ(must(verify(keeper_->newest()->note, std::vector{witness.witness().key})), 1u);
        EXPECT_EQ(must(keeper_->ask_witnesses()), 1u) << "it is not asked twice";
    }
    keeper_.reset();
    expect_clean();
    // A keeper that was started anew learns the size from the witness.
    write(1);
    keeper_ = must(
        Keeper::open(*store_, {.data_folder = folder_.path(), .witnesses = {witness.witness()}}));
    must(keeper_->sign_now());
    EXPECT_EQ(must(keeper_->ask_witnesses()), 1u);
    // One that has seen more, or lies, or is away, is left out.
    write(1);
    must(keeper_->sign_now());
    witness.lies = true;
    EXPECT_EQ(must(keeper_->ask_witnesses()), 0u);
    witness.lies = false;
    witness.size = 1'000;
    EXPECT_EQ(must(keeper_->ask_witnesses()), 0u);
}

TEST(MerkleWitness, IsReadFromASetting) {
    const SigningKey witness = SigningKey::make("w.example", KeyType::cosignature);
    const std::string key = witness.verifier().to_text();
    EXPECT_EQ(must(Witness::parse("https://w.example/log/ " + key)).url, "https://w.example/log");
    for (const std::string& bad :
         {std::string(), key, std::string("https://w.example"), "ftp://w.example " + key,
          "https://w.example " + SigningKey::make("w.example").verifier().to_text()})
        EXPECT_FALSE(Witness::parse(bad)) << bad;
}

// --- pages ---

class MerklePages : public MerkleKeeper {
 protected:
    net::Response get(const std::string& target, net::Method method = net::Method::get) {
        net::Request request;
        request.method = method;
        request.target = target;
        return Pages(*keeper_).handle(request).value();
    }
    Json json_of(const net::Response& response) {
        documents_.push_back(must(JsonDocument::parse(response.body)));
        return documents_.back().root();
    }
    static Hash hash_of_text(std::string_view text) {
        std::string bytes;
        Hash hash{};
        EXPECT_TRUE(base64_decode(text, bytes) && bytes.size() == hash.size());
        std::copy(bytes.begin(), bytes.end(), hash.begin());
        return hash;
    }
    static Proof proof_in(const Json& answer) {
        Proof proof;
        for (const Json& each : answer["proof"].items()) proof.push_back(hash_of_text(each.text()));
        return proof;
    }
    std::vector<JsonDocument> documents_;
};

TEST_F(MerklePages, GiveCheckpointTilesAndKeys) {
    open_keeper();
    EXPECT_EQ(get("/log/checkpoint").status, 404);
    EXPECT_EQ(get("/log/tile/0/000").status, 404);
    write(600);
    must(keeper_->sign_now());
    const net::Response checkpoint = get("/log/checkpoint");
    EXPECT_EQ(checkpoint.status, 200);
    EXPECT_EQ(checkpoint.headers.get("Content-Type"), "text/plain; charset=utf-8");
    EXPECT_EQ(checkpoint.headers.get("Cache-Control"), "public, max-age=5");
    const auto now = must(SignedCheckpoint::parse(checkpoint.body));
    EXPECT_EQ(
        must(verify(now.note,
                    std::vector{must(VerifierKey::parse(
                        get("/log/keys").body.substr(0, get("/log/keys").body.find('\n'))))})),
        1u);
    // Whoever has all leaves has the root.
    Frontier frontier;
    for (const char* path : {"/log/tile/0/000", "/log/tile/0/001", "/log/tile/0/002.p/88"}) {
        const net::Response tile = get(path);
        ASSERT_EQ(tile.status, 200) << path;
        EXPECT_EQ(tile.headers.get("Cache-Control"), "public, max-age=31536000, immutable");
        EXPECT_EQ(tile.headers.get("Content-Type"), "application/octet-stream");
        for (std::size_t at = 0; at < tile.body.size(); at += sizeof(Hash)) {
            Hash hash;
            std::copy_n(tile.body.begin() + static_cast<std::ptrdiff_t>(at), sizeof(Hash),
                        hash.begin());
            frontier.append(hash);
        }
    }
    EXPECT_EQ(frontier.root(), now.checkpoint.root);
    EXPECT_EQ(get("/log/tile/1/000.p/2").body.size(), 2 * sizeof(Hash));
    EXPECT_EQ(get("/log/tile/0/002.p/5").body, get("/log/tile/0/002.p/88").body.substr(0, 160));
    for (const char* path :
         {"/log/tile/0/003", "/log/tile/0/002", "/log/tile/0/002.p/89", "/log/tile/1/000",
          "/log/tile/2/000", "/log/tile/2/000.p/1", "/log/tile/9/000", "/log/tile/63/000",
          "/log/tile/entries/000", "/log/tile/0/../../lock", "/log/tile/0/%30%30%30", "/log",
          "/log/", "/log/nothing", "/log/lock", "/log/proof"})
        EXPECT_EQ(get(path).status, 404) << path;
    EXPECT_EQ(get("/log/checkpoint", net::Method::post).status, 405);
    EXPECT_EQ(get("/log/checkpoint", net::Method::head).status, 200);
    EXPECT_EQ(get("/log/checkpoint?x=1").status, 400);
    net::Request other;
    other.target = "/logs/checkpoint";
    EXPECT_FALSE(Pages(*keeper_).handle(other));
}

TEST_F(MerklePages, ATileInWorkIsNotShown) {
    open_keeper();
    write(300);
    must(keeper_->sign_now());
    write(300);
    EXPECT_EQ(get("/log/tile/0/001").status, 404);
    EXPECT_EQ(get("/log/tile/0/001.p/45").status, 404);
    EXPECT_EQ(get("/log/entries?from=300").status, 400);
}

TEST_F(MerklePages, GiveProofsThatVerify) {
    open_keeper();
    write(600);
    must(keeper_->sign_now());
    const Hash root = keeper_->newest()->checkpoint.root;
    for (const std::uint64_t position : {0u, 255u, 256u, 599u}) {
        const auto answer = get(fmt::format("/log/proof/inclusion?position={}", position));
        ASSERT_EQ(answer.status, 200) << answer.body;
        const Json json = json_of(answer);
        EXPECT_TRUE(verify_inclusion(position, 600, hash_of_text(json.string_at("leaf")),
                                     proof_in(json), root));
        const Json leaves = json_of(get(fmt::format("/log/entries?from={}&limit=1", position)));
        EXPECT_EQ(leaves["leaves"].items()[0].text(), json.string_at("leaf"));
    }
    const auto old = get("/log/proof/inclusion?position=3&size=257");
    EXPECT_EQ(old.headers.get("Cache-Control"), "public, max-age=31536000, immutable");
    EXPECT_TRUE(verify_inclusion(3, 257, hash_of_text(json_of(old).string_at("leaf")),
                                 proof_in(json_of(old)),
                                 hash_of_text(json_of(old).string_at("root"))));
    for (const std::uint64_t first : {1u, 256u, 257u, 512u, 600u}) {
        const Json json = json_of(get(fmt::format("/log/proof/consistency?first={}", first)));
        EXPECT_TRUE(verify_consistency(first, 600, proof_in(json),
                                       hash_of_text(json.string_at("first_root")), root))
            << first;
    }
    const Json all = json_of(get("/log/entries?from=0&limit=1000"));
    EXPECT_EQ(all["leaves"].size(), 600u);
    for (const char* bad :
         {"/log/proof/inclusion", "/log/proof/inclusion?position=600",
          "/log/proof/inclusion?position=-1", "/log/proof/inclusion?position=01",
          "/log/proof/inclusion?position=1&position=1", "/log/proof/inclusion?position=1&size=601",
          "/log/proof/inclusion?position=1&size=0", "/log/proof/inclusion?position=1x",
          "/log/proof/inclusion?position=", "/log/proof/inclusion?position=1&more=1",
          "/log/proof/inclusion?position=99999999999999999999", "/log/proof/consistency?first=0",
          "/log/proof/consistency?first=601", "/log/proof/consistency?first=5&second=4",
          "/log/proof/consistency?second=4", "/log/entries", "/log/entries?from=0&limit=0",
          "/log/entries?from=0&limit=1025", "/log/entries?from=%zz"})
        EXPECT_EQ(get(bad).status, 400) << bad;
}

TEST_F(MerklePages, ATreeThatCannotBeReadSaysNoMoreThanThat) {
    open_keeper();
    write(300);
    must(keeper_->sign_now());
    std::filesystem::remove(tile({0, 0, 256}));
    const auto answer = get("/log/proof/inclusion?position=3");
    EXPECT_EQ(answer.body.find(folder_.path()), std::string::npos);
    EXPECT_EQ(answer.status, 503);
}

}  // namespace
}  // namespace meridian::trust::merkle
