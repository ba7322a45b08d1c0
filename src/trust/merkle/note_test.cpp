// SPDX-License-Identifier: Apache-2.0
#include "trust/merkle/note.hpp"

#include <gtest/gtest.h>

#include "base/testing.hpp"
#include "trust/limits.hpp"
#include "trust/merkle/checkpoint.hpp"

namespace meridian::trust::merkle {
namespace {

using meridian::testing::must;

constexpr std::string_view text =
    "log.example/record\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

Note signed_by(const SigningKey& key, std::int64_t seconds = 0) {
    return Note{std::string(text), {key.sign(text, seconds)}};
}

TEST(MerkleNote, ASignatureVerifiesAndEveryAlterationIsRefused) {
    const SigningKey key = SigningKey::make("log.example/record");
    const std::vector keys{key.verifier()};
    const Note note = signed_by(key);
    EXPECT_EQ(must(verify(note, keys)), 1u);
    EXPECT_EQ(must(Note::parse(note.to_text())).signatures, note.signatures);
    for (std::size_t i = 0; i < note.text.size(); ++i) {
        Note other = note;
        other.text[i] ^= 1;
        EXPECT_FALSE(verify(other, keys)) << i;
    }
    for (std::size_t i = 0; i < note.signatures[0].bytes.size(); ++i) {
        Note other = note;
        other.signatures[0].bytes[i] ^= 1;
        EXPECT_FALSE(verify(other, keys)) << i;
    }
    Note cut = note;
    cut.signatures[0].bytes.pop_back();
    EXPECT_FALSE(verify(cut, keys));
}

TEST(MerkleNote, KeysThatAreNotKnownAreIgnored) {
    const SigningKey known = SigningKey::make("a.example"), other = SigningKey::make("b.example");
    const SigningKey namesake = SigningKey::make("a.example");
    Note note = signed_by(other);
    note.signatures.push_back(namesake.sign(text));
    EXPECT_EQ(must(verify(note, std::vector{known.verifier()})), 0u);
    note.signatures.push_back(known.sign(text));
    EXPECT_EQ(must(verify(note, std::vector{known.verifier()})), 1u);
}

// The example of https://c2sp.org/tlog-cosignature: its key names and ids are those of its lines.
TEST(MerkleNote, ReadsTheExampleOfTheSpecification) {
    const Note note = must(Note::parse(
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "\u2014 example.com/behind-the-sofa "
        "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
        "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
        "\u2014 witness.example.com/w1 "
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2"
        "oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"));
    ASSERT_EQ(note.signatures.size(), 2u);
    EXPECT_EQ(note.signatures[1].name, "witness.example.com/w1");
    EXPECT_EQ(note.signatures[1].key_id, 0x8d66cf3fu);
    EXPECT_EQ(note.signatures[1].bytes.size(), 72u);
    const Checkpoint checkpoint = must(Checkpoint::parse(note.text));
    EXPECT_EQ(checkpoint.size, 20852163u);
    EXPECT_EQ(checkpoint.to_text(), note.text);
}

TEST(MerkleNote, ACosignatureIsOverItsTimeToo) {
    const SigningKey witness = SigningKey::make("witness.example/w1", KeyType::cosignature);
    const Note note = signed_by(witness, 1679315147);
    const std::vector keys{witness.verifier()};
    EXPECT_EQ(must(verify(note, keys)), 1u);
    Note later = note;
    later.signatures[0].bytes[7] ^= 1;
    EXPECT_FALSE(verify(later, keys));
    Note plain = note;
    plain.signatures[0].bytes.erase(0, 8);
    EXPECT_FALSE(verify(plain, keys));
    EXPECT_NE(SigningKey::parse(witness.to_text())->verifier().id(), 0u);
}

TEST(MerkleNote, KeysAreReadAsTheyWereWritten) {
    for (const KeyType type : {KeyType::note, KeyType::cosignature}) {
        const SigningKey key = SigningKey::make("log.example/record", type);
        EXPECT_EQ(must(VerifierKey::parse(key.verifier().to_text())), key.verifier());
        EXPECT_EQ(must(SigningKey::parse(key.to_text())).verifier(), key.verifier());
    }
    const std::string whole = SigningKey::make("log.example/record").verifier().to_text();
    for (std::size_t i = 0; i < whole.size(); ++i) {
        std::string other = whole;
        other[i] ^= 1;
        EXPECT_FALSE(VerifierKey::parse(other)) << other;
    }
    EXPECT_FALSE(VerifierKey::parse(""));
    EXPECT_FALSE(VerifierKey::parse("a+b"));
    EXPECT_FALSE(SigningKey::parse(whole));
}

TEST(MerkleNote, RefusesWhatIsNoNote) {
    const SigningKey key = SigningKey::make("a.example");
    const std::string line = to_line(key.sign(text));
    const std::string good = std::string(text) + "\n" + line;
    EXPECT_TRUE(Note::parse(good));
    for (const std::string& bad :
         {std::string(), std::string(text), std::string(text) + "\n",
          good.substr(0, good.size() - 1), good + "more\n", std::string(text) + line,
          std::string("\r") + good, std::string("\xff") + good,
          std::string(text) + "\n\u2014 a.example AAAA\n",
          std::string(text) + "\n\u2014  " + line.substr(14),
          std::string(text) + "\n- a.example AAAAAAAA\n"})
        EXPECT_FALSE(Note::parse(bad)) << bad;
    std::string many = std::string(text) + "\n";
    for (std::size_t i = 0; i <= limits::note_signatures_max; ++i) many += line;
    EXPECT_FALSE(Note::parse(many));
}

TEST(MerkleNote, NamesHaveNoSpacesAndNoPlus) {
    for (const char* good : {"a", "log.example/record", "记录.example"})
        EXPECT_TRUE(is_key_name(good));
    for (const char* bad : {"", "a b", "a+b", "a\nb", "a\u00A0b", "a\u3000b", "\xff"})
        EXPECT_FALSE(is_key_name(bad)) << bad;
}

TEST(MerkleCheckpoint, RefusesWhatIsNone) {
    const std::string root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    EXPECT_TRUE(Checkpoint::parse("a\n0\n" + root + "\n"));
    for (const std::string& bad :
         {"a\n05\n" + root + "\n", "a\n-5\n" + root + "\n", "a\n 5\n" + root + "\n",
          "\n5\n" + root + "\n", "a\n5\n" + root, "a\n5\n" + root + "\nextension\n",
          "a\n18446744073709551616\n" + root + "\n", std::string("a\n5\nAAAA\n"),
          std::string("a\n5\n")})
        EXPECT_FALSE(Checkpoint::parse(bad)) << bad;
}

}  // namespace
}  // namespace meridian::trust::merkle
