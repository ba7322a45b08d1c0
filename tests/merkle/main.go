// SPDX-License-Identifier: Apache-2.0

// Verifies what src/trust/merkle wrote, by an implementation that shares nothing with it: notes, tiles and proofs with
// golang.org/x/mod/sumdb, leaves by the words of src/trust/merkle/leaf.hpp. The folder is written by
// MerkleInterop.WritesWhatOthersVerify of trust_test; tests/merkle/run does both.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error, what string, arguments ...any) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "FAILED: %s: %v\n", fmt.Sprintf(what, arguments...), err)
		os.Exit(1)
	}
}

func demand(holds bool, what string, arguments ...any) {
	if !holds {
		check(fmt.Errorf("it does not hold"), what, arguments...)
	}
}

func read(parts ...string) []byte {
	data, err := os.ReadFile(filepath.Join(parts...))
	check(err, "reading")
	return data
}

// tiles reads a folder as https://c2sp.org/tlog-tiles lays it out.
type tiles struct {
	folder string
	count  int
}

func (t *tiles) Height() int { return 8 }

func (t *tiles) path(tile tlog.Tile) string {
	number := fmt.Sprintf("%03d", tile.N%1000)
	for rest := tile.N / 1000; rest > 0; rest /= 1000 {
		number = fmt.Sprintf("x%03d/%s", rest%1000, number)
	}
	path := fmt.Sprintf("tile/%d/%s", tile.L, number)
	if tile.W < 256 {
		path += fmt.Sprintf(".p/%d", tile.W)
	}
	return path
}

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		data, err := os.ReadFile(filepath.Join(t.folder, t.path(tile)))
		if err != nil && tile.W < 256 {
			// The partial tile may be gone once the full one is there.
			full := tile
			full.W = 256
			data, err = os.ReadFile(filepath.Join(t.folder, t.path(full)))
		}
		if err != nil {
			return nil, err
		}
		all = append(all, data[:tile.W*tlog.HashSize])
		t.count++
	}
	return all, nil
}

func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func hashOf(text string) (hash tlog.Hash) {
	data, err := base64.StdEncoding.DecodeString(text)
	check(err, "base64")
	demand(len(data) == len(hash), "a hash of 32 bytes")
	copy(hash[:], data)
	return hash
}

func hashesOf(texts []string) (hashes []tlog.Hash) {
	for _, text := range texts {
		hashes = append(hashes, hashOf(text))
	}
	return hashes
}

type entry struct {
	Position, At, Kind, Version, Verb   int64
	Type, ID, Actor, Organisation, Salt string
	BodyHash                            string `json:"body_hash"`
}

// leaf makes an entry's bytes as the header says.
func (e entry) leaf() []byte {
	out := []byte("meridian leaf/1\n")
	number := func(value int64) { out = binary.BigEndian.AppendUint64(out, uint64(value)) }
	text := func(value string) { number(int64(len(value))); out = append(out, value...) }
	raw := func(value string, size int) {
		data, err := hex.DecodeString(value)
		check(err, "hex")
		demand(len(data) == size, "%d bytes", size)
		out = append(out, data...)
	}
	number(e.Position)
	number(e.At)
	number(e.Kind)
	text(e.Type)
	text(e.ID)
	number(e.Version)
	number(e.Verb)
	text(e.Actor)
	text(e.Organisation)
	raw(e.Salt, 16)
	raw(e.BodyHash, sha256.Size)
	return out
}

type inclusion struct {
	Position, Size int64
	Root, Leaf     string
	Proof          []string
}

type consistency struct {
	First, Second int64
	FirstRoot     string `json:"first_root"`
	SecondRoot    string `json:"second_root"`
	Proof         []string
}

func lines(path string, each func(line []byte)) {
	for _, line := range strings.Split(strings.TrimSpace(string(read(path))), "\n") {
		each([]byte(line))
	}
}

// checkpoints gives every signed tree of the list, verified.
func checkpoints(data string, keys note.Verifiers) (trees []tlog.Tree) {
	// A note has one empty line within it, and one behind it.
	parts := strings.Split(string(read(data, "tree", "checkpoints")), "\n\n")
	for i := 0; i+1 < len(parts); i += 2 {
		opened, err := note.Open([]byte(parts[i]+"\n\n"+parts[i+1]+"\n"), keys)
		check(err, "a checkpoint's signature")
		lines := strings.Split(opened.Text, "\n")
		demand(len(lines) == 4 && lines[0] == opened.Sigs[0].Name, "a checkpoint's lines")
		size, err := strconv.ParseInt(lines[1], 10, 64)
		check(err, "a checkpoint's size")
		trees = append(trees, tlog.Tree{N: size, Hash: hashOf(lines[2])})
	}
	return trees
}

func main() {
	demand(len(os.Args) == 2, "one argument: the folder that trust_test wrote")
	data := os.Args[1]
	var verifiers []note.Verifier
	lines(filepath.Join(data, "keys", "checkpoint.pub"), func(line []byte) {
		key, err := note.NewVerifier(string(line))
		check(err, "the public key")
		verifiers = append(verifiers, key)
	})
	_, err := note.NewSigner(strings.TrimSpace(string(read(data, "keys", "checkpoint.key"))))
	check(err, "the private key")

	trees := checkpoints(data, note.VerifierList(verifiers...))
	demand(len(trees) > 1, "more than one checkpoint")
	newest := trees[len(trees)-1]
	fmt.Printf("notes: %d checkpoints verify under %d keys, the newest has %d entries\n", len(trees), len(verifiers), newest.N)

	reader := &tiles{folder: filepath.Join(data, "tree")}
	hashes := tlog.TileHashReader(newest, reader)
	for _, tree := range trees {
		root, err := tlog.TreeHash(tree.N, hashes)
		check(err, "the tiles of the tree of %d", tree.N)
		demand(root == tree.Hash, "the root of %d from the tiles", tree.N)
		proof, err := tlog.ProveTree(newest.N, tree.N, hashes)
		check(err, "a proof from the tiles")
		check(tlog.CheckTree(proof, newest.N, newest.Hash, tree.N, tree.Hash), "consistency of %d", tree.N)
	}
	fmt.Printf("tiles: roots of all checkpoints and proofs between them hold; %d tiles read\n", reader.count)

	leaves := 0
	lines(filepath.Join(data, "entries.ndjson"), func(line []byte) {
		var one entry
		check(json.Unmarshal(line, &one), "an entry")
		stored, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, one.Position)})
		check(err, "leaf %d", one.Position)
		demand(tlog.RecordHash(one.leaf()) == stored[0], "leaf %d by the words of leaf.hpp", one.Position)
		leaves++
	})
	fmt.Printf("leaves: %d entries give the leaves that the tiles have\n", leaves)

	proofs, refused := 0, 0
	damaged := func(proof []tlog.Hash) []tlog.Hash {
		other := append([]tlog.Hash(nil), proof...)
		other[rand.Intn(len(other))][rand.Intn(tlog.HashSize)] ^= 1
		return other
	}
	lines(filepath.Join(data, "inclusion.ndjson"), func(line []byte) {
		var one inclusion
		check(json.Unmarshal(line, &one), "a proof")
		proof, root, leaf := tlog.RecordProof(hashesOf(one.Proof)), hashOf(one.Root), hashOf(one.Leaf)
		check(tlog.CheckRecord(proof, one.Size, root, one.Position, leaf), "inclusion of %d in %d", one.Position, one.Size)
		proofs++
		if len(proof) > 0 {
			demand(tlog.CheckRecord(damaged(proof), one.Size, root, one.Position, leaf) != nil, "a damaged proof is refused")
			refused++
		}
	})
	lines(filepath.Join(data, "consistency.ndjson"), func(line []byte) {
		var one consistency
		check(json.Unmarshal(line, &one), "a proof")
		proof, first, second := tlog.TreeProof(hashesOf(one.Proof)), hashOf(one.FirstRoot), hashOf(one.SecondRoot)
		check(tlog.CheckTree(proof, one.Second, second, one.First, first), "consistency of %d with %d", one.First, one.Second)
		proofs++
		if len(proof) > 0 {
			demand(tlog.CheckTree(damaged(proof), one.Second, second, one.First, first) != nil, "a damaged proof is refused")
			refused++
		}
	})
	fmt.Printf("proofs: %d of /log/proof hold, %d damaged ones are refused\n", proofs, refused)
}
