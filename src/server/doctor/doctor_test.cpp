// SPDX-License-Identifier: Apache-2.0
#include "server/doctor/doctor.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "base/testing.hpp"
#include "net/testing/tls_client.hpp"
#include "server/control.hpp"
#include "store/open.hpp"

namespace meridian::server {
namespace {

namespace fs = std::filesystem;
using meridian::testing::Folder;
using meridian::testing::must;

/// /proc and /sys of another machine, in the kernel's own layout: sysfs links class/block/NAME to
/// the device's folder, a partition's folder lies in that of its disk, and slaves/ holds links.
class Kernel {
 public:
    explicit Kernel(const std::string& folder) : base_(folder) {
        write(base_ + "/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
        fs::create_directories(base_ + "/sys/class/block");
    }
    KernelRoots roots() const { return {base_ + "/proc", base_ + "/sys"}; }

    /// A whole disk, or a virtual device.
    void device(const std::string& name, const std::string& number,
                const std::string& place = "virtual/block") const {
        const std::string folder = fmt::format("/sys/devices/{}/{}", place, name);
        write(base_ + folder + "/dev", number + "\n");
        fs::create_directories(base_ + folder + "/slaves");
        fs::create_symlink("../../devices/" + place + "/" + name,
                           base_ + "/sys/class/block/" + name);
    }
    void partition(const std::string& disk, const std::string& name, const std::string& number,
                   const std::string& place) const {
        device(name, number, place + "/" + disk);
        write(of(name) + "/partition", "1\n");
    }
    void mapping(const std::string& name, const std::string& number, const std::string& uuid,
                 const std::string& called, const std::vector<std::string>& below) const {
        device(name, number);
        write(of(name) + "/dm/uuid", uuid + "\n");
        write(of(name) + "/dm/name", called + "\n");
        lies_on(name, below);
    }
    void lies_on(const std::string& name, const std::vector<std::string>& below) const {
        for (const std::string& device : below)
            fs::create_symlink("../../../" + device, of(name) + "/slaves/" + device);
    }
    void attribute(const std::string& name, const std::string& file,
                   const std::string& text) const {
        write(of(name) + "/" + file, text + "\n");
    }
    void mounts(const std::string& text) const { write(base_ + "/proc/self/mountinfo", text); }
    void swap(const std::string& lines) const {
        write(base_ + "/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" + lines);
    }
    void process(int id, const std::string& limits) const {
        write(fmt::format("{}/proc/{}/limits", base_, id), limits);
    }

 private:
    static void write(const std::string& path, const std::string& text) {
        fs::create_directories(fs::path(path).parent_path());
        std::ofstream(path) << text;
    }
    std::string of(const std::string& name) const { return base_ + "/sys/class/block/" + name; }
    std::string base_;
};

constexpr const char* sata = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block";

struct DiskEncryption : ::testing::Test {
    Folder folder;
    Kernel kernel{folder.path()};
    EncryptionReport under(const std::string& path) const {
        return must(encryption_under(path, kernel.roots()));
    }
};

TEST_F(DiskEncryption, APartitionUnderLuksIsEncryptedAndItsNeighbourIsNot) {
    kernel.device("sda", "8:0", sata);
    kernel.partition("sda", "sda1", "8:1", sata);
    kernel.partition("sda", "sda2", "8:2", sata);
    kernel.mapping("dm-0", "253:0", "CRYPT-LUKS2-0a61b6f2e67c4a4e8d7e3fd9c1b2a3f4-sda2_crypt",
                   "sda2_crypt", {"sda2"});
    kernel.mounts(
        "22 27 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw\n"
        "27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
        "61 27 253:0 / /srv/medical\\040record rw,relatime shared:31 - ext4 "
        "/dev/mapper/sda2_crypt rw\n");
    const auto report = under("/srv/medical record/data");
    EXPECT_EQ(report.encryption, Encryption::on) << report.sentence;
    EXPECT_NE(report.sentence.find("sda2_crypt"), std::string::npos);
    EXPECT_EQ(under("/var/lib/meridian").encryption, Encryption::off);
    EXPECT_EQ(under("/srv/medical recordings").encryption, Encryption::off)
        << "a name that only begins alike";
}

TEST_F(DiskEncryption, LogicalVolumesAreEncryptedByWhatIsBelowThem) {
    kernel.device("nvme0n1", "259:0", "pci0000:00/0000:00:1d.0/nvme/nvme0");
    kernel.partition("nvme0n1", "nvme0n1p3", "259:3", "pci0000:00/0000:00:1d.0/nvme/nvme0");
    kernel.mapping("dm-0", "254:0", "CRYPT-LUKS1-11111111222233334444555555555555-nvme0n1p3_crypt",
                   "nvme0n1p3_crypt", {"nvme0n1p3"});
    kernel.mapping("dm-1", "254:1", "LVM-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb",
                   "vg-root", {"dm-0"});
    kernel.mapping("dm-2", "254:2", "LVM-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaacccccccccccccccc",
                   "vg-swap", {"dm-0"});
    kernel.mounts("29 1 254:1 / / rw,relatime shared:1 - xfs /dev/mapper/vg-root rw\n");
    const auto report = under("/data");
    EXPECT_EQ(report.encryption, Encryption::on) << report.sentence;
    EXPECT_NE(report.sentence.find("dm-1 lies on dm-0"), std::string::npos) << report.sentence;
    kernel.swap("/dev/dm-2                               partition\t999420\t\t0\t\t-2\n");
    const auto swap = must(encryption_of_swap(kernel.roots()));
    ASSERT_EQ(swap.size(), 1u);
    EXPECT_EQ(swap[0].encryption, Encryption::on) << swap[0].sentence;
}

TEST_F(DiskEncryption, OnePlainPartMakesTheWholePlain) {
    kernel.device("sda", "8:0", sata);
    kernel.device("sdb", "8:16", sata);
    kernel.mapping("dm-0", "253:0", "CRYPT-LUKS2-aa-a_crypt", "a_crypt", {"sda"});
    kernel.mapping("dm-1", "253:1", "LVM-striped", "vg-data", {"dm-0", "sdb"});
    kernel.device("md0", "9:0");
    kernel.lies_on("md0", {"dm-0", "sdb"});
    kernel.mounts(
        "29 1 253:1 / / rw - ext4 /dev/mapper/vg-data rw\n"
        "30 29 9:0 / /raid rw - ext4 /dev/md0 rw\n");
    EXPECT_EQ(under("/data").encryption, Encryption::off);
    EXPECT_EQ(under("/raid").encryption, Encryption::off);
}

TEST_F(DiskEncryption, WhatOnlyChecksDoesNotEncrypt) {
    kernel.device("sda", "8:0", sata);
    kernel.mapping("dm-0", "253:0", "CRYPT-VERITY-00-root", "root", {"sda"});
    kernel.mapping("dm-1", "253:1", "CRYPT-INTEGRITY-00-data", "data", {"sda"});
    kernel.mounts(
        "29 1 253:0 / / ro - ext4 /dev/dm-0 ro\n"
        "30 29 253:1 / /data rw - ext4 /dev/dm-1 rw\n");
    EXPECT_EQ(under("/").encryption, Encryption::off);
    EXPECT_EQ(under("/data").encryption, Encryption::off);
}

TEST_F(DiskEncryption, LoopFilesLieWhereTheirFileLies) {
    kernel.device("sda", "8:0", sata);
    kernel.mapping("dm-0", "253:0", "CRYPT-PLAIN-safe", "safe", {"sda"});
    kernel.device("loop0", "7:0");
    kernel.attribute("loop0", "loop/backing_file", "/safe/images/data.img");
    kernel.device("loop1", "7:1");
    kernel.attribute("loop1", "loop/backing_file", "/round/itself.img");
    kernel.mounts(
        "29 1 8:0 / / rw - ext4 /dev/sda rw\n"
        "30 29 253:0 / /safe rw - ext4 /dev/mapper/safe rw\n"
        "31 29 7:0 / /data rw - ext4 /dev/loop0 rw\n"
        "32 29 7:1 / /round rw - ext4 /dev/loop1 rw\n");
    EXPECT_EQ(under("/data").encryption, Encryption::on);
    EXPECT_EQ(under("/round").encryption, Encryption::cannot_tell) << "the walk ends";
}

TEST_F(DiskEncryption, SaysWhenItCannotTell) {
    kernel.device("sda", "8:0", sata);
    kernel.mounts(
        "29 1 0:51 / / rw,relatime - overlay overlay "
        "rw,lowerdir=/l,upperdir=/var/lib/docker/overlay2/u/diff,workdir=/w\n"
        "30 29 0:44 /record /tank rw - zfs tank/record rw,xattr\n"
        "31 29 0:45 / /pool rw - btrfs /dev/sda rw,subvolid=5\n"
        "32 29 0:46 / /net rw - nfs4 nas:/export rw,vers=4.2\n"
        "33 29 0:47 / /dev/shm rw - tmpfs tmpfs rw\n"
        "34 29 8:99 / /gone rw - ext4 /dev/sdz rw\n");
    for (const char* path : {"/data", "/tank", "/pool", "/net", "/gone"})
        EXPECT_EQ(under(path).encryption, Encryption::cannot_tell) << path;
    EXPECT_NE(under("/tank").sentence.find("zfs get encryption"), std::string::npos);
    EXPECT_NE(under("/data").sentence.find("overlay"), std::string::npos);
    EXPECT_EQ(under("/dev/shm/x").encryption, Encryption::in_memory);
    kernel.mounts("not a mount\n");
    EXPECT_FALSE(encryption_under("/data", kernel.roots()));
    EXPECT_FALSE(encryption_under("/data", {folder.path() + "/none", folder.path() + "/none"}));
}

TEST_F(DiskEncryption, ThisMachinesOwnTreeIsRead) {
    // As captured on a virtual machine whose disk is plain: /proc/self/mountinfo, /sys/dev/block.
    kernel.device("vda", "254:0", "pci0000:00/0000:00:02.0/virtio1/block");
    kernel.mounts(
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        "24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,size=12334460k,mode=755\n"
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard,resv_strict,resuid=65534\n"
        "30 25 0:27 / /dev/shm rw,relatime - tmpfs tmpfs rw,size=24684084k\n");
    EXPECT_EQ(under("/opt/region").encryption, Encryption::off);
    // And whatever this machine is: an answer with a sentence.
    const auto own = encryption_under(fs::canonical(folder.path()).string());
    ASSERT_TRUE(own) << own.error().message;
    EXPECT_FALSE(own->sentence.empty());
    EXPECT_TRUE(encryption_of_swap());
}

TEST_F(DiskEncryption, OfSwapFilesAndCompressedMemory) {
    kernel.device("sda", "8:0", sata);
    kernel.device("zram0", "252:0");
    kernel.device("zram1", "252:1");
    kernel.attribute("zram1", "backing_dev", "/dev/sda");
    kernel.mounts("29 1 8:0 / / rw - ext4 /dev/sda rw\n");
    kernel.swap(
        "/swap\\040file file\t999420\t\t0\t\t-2\n"
        "/dev/zram0 partition\t999420\t\t0\t\t100\n"
        "/dev/zram1 partition\t999420\t\t0\t\t100\n");
    const auto swap = must(encryption_of_swap(kernel.roots()));
    ASSERT_EQ(swap.size(), 3u);
    EXPECT_EQ(swap[0].encryption, Encryption::off);
    EXPECT_NE(swap[0].sentence.find("/swap file"), std::string::npos);
    EXPECT_EQ(swap[1].encryption, Encryption::in_memory);
    EXPECT_EQ(swap[2].encryption, Encryption::off);
}

/// A data folder as a server leaves it, on an encrypted disk.
struct Doctor : ::testing::Test {
    Folder machine, place;
    Kernel kernel{machine.path()};
    std::string data = place.path() + "/data";
    DoctorOptions options;

    Doctor() {
        kernel.device("sda", "8:0", sata);
        kernel.mapping("dm-0", "253:0", "CRYPT-LUKS2-00-data", "data", {"sda"});
        kernel.mounts("29 1 253:0 / / rw - ext4 /dev/mapper/data rw\n");
        fs::create_directories(data + "/keys");
        for (const char* key : {"master.key", "kek-1.key", "checkpoint.key"}) put("/keys/", key);
        put("/keys/", "checkpoint.pub");
        ::chmod((data + "/keys/checkpoint.pub").c_str(), 0644);
        for (const std::string& folder : {data, data + "/keys"}) ::chmod(folder.c_str(), 0700);
        options.serving.data_folder = data;
        options.roots = kernel.roots();
        options.clock = {.is_readable = true, .is_synchronised = true, .error_milliseconds = 3};
    }
    void put(const std::string& folder, const std::string& name) const {
        std::ofstream(data + folder + name) << "x";
        ::chmod((data + folder + name).c_str(), 0600);
    }
    /// What is said about one thing; the worst when several are.
    HostFinding about(std::string_view thing) const {
        std::optional<HostFinding> found;
        for (const HostFinding& finding : must(examine_host(options))) {
            if (finding.about == thing && (!found || finding.judgement == Judgement::mend))
                found = finding;
        }
        EXPECT_TRUE(found) << thing;
        return found ? *found : HostFinding{};
    }
    Judgement judged(std::string_view thing) const { return about(thing).judgement; }
};

TEST_F(Doctor, FindsNothingToMendWhereAllIsAsItShouldBe) {
    must(store::open({.folder = data}));
    for (const HostFinding& finding : must(examine_host(options))) {
        EXPECT_FALSE(finding.sentence.empty());
        // This machine's own disk may be nearly full, and its limits low.
        if (finding.about == "free-space" || finding.about == "open-files") continue;
        EXPECT_NE(finding.judgement, Judgement::mend) << finding.about << ": " << finding.sentence;
    }
    EXPECT_EQ(judged("disk-encryption"), Judgement::good);
    EXPECT_EQ(judged("swap"), Judgement::good);
    EXPECT_EQ(judged("rights"), Judgement::good);
    EXPECT_EQ(judged("listening"), Judgement::good);
    EXPECT_NE(about("store").sentence.find("version "), std::string::npos);
    EXPECT_EQ(judged("place-of-keys"), Judgement::advice) << "one disk has both";
}

TEST_F(Doctor, WantsThePlainDiskAndPlainSwapMended) {
    kernel.mounts("29 1 8:0 / / rw - ext4 /dev/sda rw\n");
    kernel.swap("/dev/sda partition\t999420\t\t0\t\t-2\n");
    EXPECT_EQ(judged("disk-encryption"), Judgement::mend);
    EXPECT_NE(about("disk-encryption").sentence.find("clear values"), std::string::npos);
    EXPECT_EQ(judged("swap"), Judgement::mend);
    options.is_encrypted_below = true;
    EXPECT_EQ(judged("disk-encryption"), Judgement::good);
    kernel.mounts("29 1 0:51 / / rw - overlay overlay rw\n");
    options.is_encrypted_below = false;
    EXPECT_EQ(judged("disk-encryption"), Judgement::cannot_tell);
    kernel.mounts("29 1 0:51 / / rw - tmpfs tmpfs rw\n");
    EXPECT_EQ(judged("disk-encryption"), Judgement::mend) << "a record in memory is gone tomorrow";
}

TEST_F(Doctor, WantsFolderAndKeysForTheirOwnerAlone) {
    ::chmod((data + "/keys/kek-1.key").c_str(), 0640);
    EXPECT_EQ(judged("rights"), Judgement::mend);
    EXPECT_NE(about("rights").sentence.find("chmod 600"), std::string::npos);
    ::chmod((data + "/keys/kek-1.key").c_str(), 0600);
    EXPECT_EQ(judged("rights"), Judgement::good);
    ::chmod(data.c_str(), 0750);
    EXPECT_NE(about("rights").sentence.find("chmod 700"), std::string::npos);
    ::chmod(data.c_str(), 0700);
    if (::chown((data + "/keys/master.key").c_str(), 4711, 4711) == 0) {
        EXPECT_NE(about("rights").sentence.find("belongs to the user 4711"), std::string::npos);
    }
}

TEST_F(Doctor, WantsAClockThatIsSet) {
    options.clock.is_synchronised = false;
    EXPECT_EQ(judged("clock"), Judgement::mend);
    options.clock = {.is_readable = true, .is_synchronised = true, .error_milliseconds = 5'000};
    EXPECT_EQ(judged("clock"), Judgement::mend);
    options.clock = {};
    EXPECT_EQ(judged("clock"), Judgement::cannot_tell);
}

TEST_F(Doctor, TellsWhenTheCertificateEnds) {
    const net::testing::Authority authority{};
    const std::string file = place.path() + "/certificate.pem";
    options.serving.tls_certificate = file;
    options.serving.tls_key = place.path() + "/key.pem";
    const auto issued = authority.issue("record.example");
    std::ofstream(options.serving.tls_key) << issued.key;
    ::chmod(options.serving.tls_key.c_str(), 0644);
    std::ofstream(file) << issued.certificate;
    const HostFinding good = about("certificate");
    EXPECT_NE(good.sentence.find("days more"), std::string::npos) << good.sentence;
    EXPECT_NE(about("rights").sentence.find("TLS key"), std::string::npos);
    std::ofstream(file) << "nothing";
    EXPECT_EQ(judged("certificate"), Judgement::mend);
}

TEST_F(Doctor, LooksAtTheLimitsOfTheServerThatRuns) {
    EXPECT_EQ(judged("core-dumps"), Judgement::cannot_tell) << "nobody serves";
    // This process listens where a server of the folder would: it is the one that is looked at.
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    control_socket_path(data).copy(address.sun_path, sizeof address.sun_path - 1);
    const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listening, 100), 0);
    const auto limits = [&](const char* core, const char* files) {
        kernel.process(::getpid(),
                       fmt::format("Limit                     Soft Limit           Hard Limit\n"
                                   "Max core file size        {:<20} unlimited            bytes\n"
                                   "Max open files            {:<20} 524288               files\n",
                                   core, files));
    };
    limits("0", "65536");
    EXPECT_EQ(judged("core-dumps"), Judgement::good);
    EXPECT_EQ(judged("open-files"), Judgement::good);
    limits("unlimited", "1024");
    EXPECT_EQ(judged("core-dumps"), Judgement::mend);
    EXPECT_EQ(judged("open-files"), Judgement::mend);
    ::close(listening);
}

TEST_F(Doctor, SaysWhatServeWouldRefuse) {
    options.serving.address = "0.0.0.0";
    EXPECT_EQ(judged("listening"), Judgement::mend);
    EXPECT_NE(about("listening").sentence.find("--tls-certificate"), std::string::npos);
    options.serving.behind_proxy = {"10.0.0.1"};
    EXPECT_EQ(judged("listening"), Judgement::good);
}

TEST_F(Doctor, CannotLookWhereThereIsNothing) {
    options.serving.data_folder = data + "/none";
    const auto findings = examine_host(options);
    ASSERT_FALSE(findings);
    EXPECT_EQ(findings.error().category, Category::not_found);
}

}  // namespace
}  // namespace meridian::server
