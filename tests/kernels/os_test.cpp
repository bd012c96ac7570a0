#include "kernels/os.h"
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <semaphore>
#include <sys/mman.h>
#include <thread>
#include "kernels/isa.h"
#include "tests/kernels/util.h"

namespace {
using namespace kernels;
namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("inlay_os_test_" + std::to_string(std::random_device{}()));
    fs::create_directory(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  static std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
  static std::string text(const os::Memory& m) { return {reinterpret_cast<const char*>(m.data()), m.size()}; }
  fs::path folder_;
};

TEST_F(Files, WriteThenMapAndRead) {
  const std::span<const std::byte> parts[] = {bytes("one "), bytes(""), bytes("two")};
  ASSERT_EQ(os::write_file(path("f"), parts).message, "");
  os::Memory mapped, read;
  ASSERT_EQ(os::Memory::map_file(path("f"), mapped).message, "");
  ASSERT_EQ(os::Memory::read_file(path("f"), read).message, "");
  EXPECT_EQ(text(mapped), "one two");
  EXPECT_EQ(text(read), "one two");
  mapped.release_pages(0, mapped.size());
  EXPECT_EQ(text(mapped), "one two");
}

TEST_F(Files, ReplacesWhole) {
  ASSERT_TRUE(os::write_file(path("f"), bytes("something long")).ok());
  os::Memory before;
  ASSERT_TRUE(os::Memory::map_file(path("f"), before).ok());
  ASSERT_TRUE(os::write_file(path("f"), bytes("new")).ok());
  EXPECT_EQ(text(before), "something long") << "who has the old file keeps it";
  os::Memory after;
  ASSERT_TRUE(os::Memory::map_file(path("f"), after).ok());
  EXPECT_EQ(text(after), "new");
}

TEST_F(Files, FailuresNameThePathAndLeaveNothing) {
  os::Memory memory;
  const os::Status missing = os::Memory::map_file(path("missing"), memory);
  EXPECT_NE(missing.message.find(path("missing")), std::string::npos) << missing.message;
  EXPECT_NE(missing.message.find("No such file"), std::string::npos) << missing.message;
  EXPECT_FALSE(os::Memory::map_file(folder_.string(), memory).ok());
  EXPECT_FALSE(os::write_file(path("no/such/folder"), bytes("x")).ok());
  fs::create_directory(folder_ / "folder");
  EXPECT_FALSE(os::write_file(path("folder"), bytes("x")).ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(Files, AnEmptyFile) {
  ASSERT_TRUE(os::write_file(path("empty"), bytes("")).ok());
  os::Memory memory;
  ASSERT_TRUE(os::Memory::map_file(path("empty"), memory).ok());
  EXPECT_TRUE(memory);
  EXPECT_EQ(memory.size(), 0u);
}

TEST(Os, MemoryIsZeroedAndComesBackZeroed) {
  os::Memory memory = os::Memory::allocate(3 * os::page_size());
  ASSERT_TRUE(memory);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.data()) % os::page_size(), 0u);
  for (size_t i = 0; i < memory.size(); ++i) ASSERT_EQ(memory.data()[i], std::byte{0});
  std::memset(memory.data(), 1, memory.size());
  memory.release_pages(1, memory.size() - 1);  // the first page is not wholly inside
  EXPECT_EQ(memory.data()[0], std::byte{1});
  EXPECT_EQ(memory.data()[os::page_size()], std::byte{0});
  const os::Memory moved = std::move(memory);
  EXPECT_TRUE(moved);
}

TEST(Os, MemoryOfLargePages) {
  constexpr size_t large = 2 << 20;
  for (const size_t bytes : {large / 2, large - 1, large, large + 1, 5 * large / 2, 5 * large / 2 + 1, 3 * large}) {
    os::Memory memory = os::Memory::allocate(bytes);
    ASSERT_TRUE(memory);
    EXPECT_EQ(memory.size(), bytes);
    memory.prefer_large_pages();
    for (size_t i = 0; i < bytes; i += 1000) ASSERT_EQ(memory.data()[i], std::byte{0});
    std::memset(memory.data(), 1, bytes);
    memory.release_pages(large / 4, large / 8);
    EXPECT_EQ(memory.data()[large / 4], std::byte{0});
    EXPECT_EQ(memory.data()[0], std::byte{1});
    EXPECT_EQ(memory.data()[bytes - 1], std::byte{1});
  }
}

// What the system says, without the code under test.
bool may_execute() {
  void* const at = mmap(nullptr, os::page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool may = at != MAP_FAILED && mprotect(at, os::page_size(), PROT_READ | PROT_EXEC) == 0;
  if (at != MAP_FAILED) munmap(at, os::page_size());
  return may;
}

TEST(Os, CodePagesAreSealed) {
  os::CodePages pages = os::CodePages::allocate(os::page_size() + 1);
  ASSERT_TRUE(pages);
  EXPECT_EQ(pages.size(), 2 * os::page_size());
  std::memset(pages.data(), 0, pages.size());
  if (may_execute()) {
    ASSERT_TRUE(pages.seal());
  } else {
    EXPECT_FALSE(pages.seal());
    GTEST_SKIP() << "the system denies executable memory";
  }
  EXPECT_DEATH(*static_cast<volatile std::byte*>(pages.data()) = std::byte{1}, "");
}

TEST(Os, Machine) {
  EXPECT_GE(os::available_cores(), 1);
  EXPECT_GT(os::peak_rss(), 1u << 20);
}

#if defined(__linux__)
// The CPUs that the calling thread may run on.
std::vector<int> allowed() {
  cpu_set_t set;
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

// A thread that says what it may run on whenever it is asked.
class Asked {
 public:
  std::vector<int> cpus() {
    asked_.release(), answered_.acquire();
    return cpus_;
  }
  ~Asked() { over_ = true, asked_.release(), thread.join(); }

 private:
  std::binary_semaphore asked_{0}, answered_{0};
  std::vector<int> cpus_;
  bool over_ = false;

 public:
  std::thread thread{[this] {
    while (asked_.acquire(), !over_) cpus_ = allowed(), answered_.release();
  }};
};

TEST(Os, Placement) {
  const std::vector<int> all = allowed();
  if (all.size() < 2) GTEST_SKIP() << "one CPU";
  const auto without = [&](int cpu) {
    std::vector<int> rest = all;
    std::erase(rest, cpu);
    return rest;
  };
  Asked asked;
  os::Placement placement(asked.thread);
  EXPECT_EQ(asked.cpus(), all);
  placement.keep_off(all[0]);
  EXPECT_EQ(asked.cpus(), without(all[0]));
  placement.keep_off(all[1]);
  EXPECT_EQ(asked.cpus(), without(all[1]));
  placement.keep_off(-1);
  EXPECT_EQ(asked.cpus(), without(all[1]));

  // What someone else allows it since is all there is: the last one stays.
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(all[1], &one);
  ASSERT_EQ(pthread_setaffinity_np(asked.thread.native_handle(), sizeof one, &one), 0);
  for (const int cpu : {all[0], all[1]}) {
    placement.keep_off(cpu);
    EXPECT_EQ(asked.cpus(), std::vector{all[1]});
  }

  Asked pinned;
  os::Placement to_one(pinned.thread, std::vector{all[1], -1, 1 << 20});
  EXPECT_EQ(pinned.cpus(), std::vector{all[1]});
  to_one.keep_off(all[1]);
  EXPECT_EQ(pinned.cpus(), std::vector{all[1]});

  Asked nowhere;
  os::Placement to_none(nowhere.thread, std::vector{-1});
  EXPECT_EQ(nowhere.cpus(), all);
}
#endif

TEST(Os, FastCores) {
  EXPECT_EQ(os::fast_cores({}), 0);
  EXPECT_EQ(os::fast_cores(std::vector<double>{0, 0, 0, 0}), 4);          // no capacities are stated
  EXPECT_EQ(os::fast_cores(std::vector<double>{1024, 1024}), 2);
  EXPECT_EQ(os::fast_cores(std::vector<double>{250, 250, 250, 250, 780, 780, 780, 1024}), 4);
  EXPECT_EQ(os::fast_cores(std::vector<double>{446, 446, 1024}), 1);
}

TEST(Isa, Levels) {
  EXPECT_EQ(isa::find("avx2"), isa::avx2);
  EXPECT_FALSE(isa::find("avx3"));
  EXPECT_TRUE(isa::runs(isa::scalar, isa::detected()));
  EXPECT_TRUE(isa::runs(isa::avx2, isa::avx512_vnni));
  EXPECT_FALSE(isa::runs(isa::avx512, isa::avx2));
  EXPECT_FALSE(isa::runs(isa::neon, isa::avx512_bf16));
  for (const isa::Level& level : isa::levels()) EXPECT_EQ(isa::name(level.mask), level.name);
  EXPECT_EQ(isa::error().empty(), !std::getenv("INLAY_MAX_ISA") || isa::find(std::getenv("INLAY_MAX_ISA")));
}
}  // namespace
