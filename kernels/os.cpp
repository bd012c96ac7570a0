#include "kernels/os.h"
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <map>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kernels::os {
namespace {
Status failed(const char* doing, const std::string& path) {
  return {std::string(doing) + " " + path + ": " + std::strerror(errno)};
}

struct File {
  int descriptor;
  explicit File(int d) : descriptor(d) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { close(); }
  bool close() {
    const bool done = descriptor < 0 || ::close(descriptor) == 0;
    descriptor = -1;
    return done;
  }
};

// Opens a regular file for reading; its size.
Status open_file(const std::string& path, File& file, size_t& size) {
  file.descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // which does not wait for the writer of a pipe
  if (file.descriptor < 0) return failed("opening", path);
  struct stat info;
  if (fstat(file.descriptor, &info) != 0) return failed("reading the size of", path);
  if (!S_ISREG(info.st_mode)) return {"opening " + path + ": not a regular file"};
  size = static_cast<size_t>(info.st_size);
  return {};
}

Status write_all(int descriptor, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("writing", path);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Status sync_folder(const std::string& path) {
  const std::string folder = folder_of(path);
  File file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems refuse to sync a folder (EINVAL): the rename is then as durable as they make it.
  if (file.descriptor < 0 || (fsync(file.descriptor) != 0 && errno != EINVAL)) return failed("syncing", folder);
  return {};
}

#if defined(__linux__)
// Of a file that the kernel makes up, its beginning; empty if there is none. A stream would take ten times as long when
// it is the first one of a process.
std::string kernel_text(const std::string& path) {
  char text[4096];
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t n = file.descriptor < 0 ? 0 : ::read(file.descriptor, text, sizeof text);
  return {text, static_cast<size_t>(std::max<ssize_t>(n, 0))};
}
std::string first_line(const std::string& path) {
  const std::string text = kernel_text(path);
  return text.substr(0, text.find('\n'));
}

// The CPUs' worth of time that the control group and those above it allow; infinity without a limit.
double quota() {
  double least = INFINITY;
  const auto limit = [&](double allowed, double period) {
    if (allowed > 0 && period > 0) least = std::min(least, allowed / period);
  };
  const auto number = [](const std::string& text) { return std::strtod(text.c_str(), nullptr); };
  const std::string groups = kernel_text("/proc/self/cgroup");
  for (size_t at = 0, end; at < groups.size(); at = end + 1) {
    end = std::min(groups.find('\n', at), groups.size());
    const std::string_view line = std::string_view(groups).substr(at, end - at);
    if (!line.starts_with("0::")) continue;
    for (std::string path(line == "0::/" ? "" : line.substr(3));; path.erase(path.rfind('/'))) {
      const std::string max = first_line("/sys/fs/cgroup" + path + "/cpu.max");
      if (const size_t space = max.find(' '); space != std::string::npos && !max.starts_with("max"))
        limit(number(max), number(max.substr(space)));
      if (path.find('/') == std::string::npos) break;
    }
  }
  const std::string v1 = "/sys/fs/cgroup/cpu/cpu.cfs_";
  if (const double allowed = number(first_line(v1 + "quota_us")); allowed > 0) limit(allowed, number(first_line(v1 + "period_us")));
  return least;
}

int affinity_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  if (CPU_COUNT(&allowed) == 1) return 1;
  const std::string cpus = "/sys/devices/system/cpu/";
  const bool shared = first_line(cpus + "smt/active") != "0";  // cores may have several hardware threads
#if defined(__x86_64__)
  const bool alike = access("/sys/devices/cpu_atom", F_OK) != 0;  // counters of the small cores that some CPUs have
#else
  const bool alike = false;
#endif
  std::map<std::string, double> cores;  // capacity, by their list of hardware threads
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const std::string name = std::to_string(cpu), folder = cpus + "cpu" + name;
    const std::string siblings = shared ? first_line(folder + "/topology/thread_siblings_list") : "";
    const auto [core, added] = cores.try_emplace(siblings.empty() ? name : siblings, 0);
    if (added && !alike) core->second = std::strtod(first_line(folder + "/cpu_capacity").c_str(), nullptr);
  }
  std::vector<double> capacities;  // 0 where all cores are alike
  for (const auto& [name, capacity] : cores) capacities.push_back(capacity);
  return fast_cores(capacities);
}
#endif
}  // namespace

size_t page_size() {
  static const size_t size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

size_t peak_rss() {
  rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#if defined(__APPLE__)
  return static_cast<size_t>(usage.ru_maxrss);
#else
  return static_cast<size_t>(usage.ru_maxrss) << 10;
#endif
}

int fast_cores(std::span<const double> capacities) {
  const double fastest = capacities.empty() ? 0 : *std::ranges::max_element(capacities);
  return static_cast<int>(std::ranges::count_if(capacities, [&](double capacity) { return capacity >= fastest / 2; }));
}

int available_cores() {
#if defined(__linux__)
  return std::max(1, static_cast<int>(std::min<double>(affinity_cores(), std::ceil(quota()))));
#else
  return std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
#endif
}

#if defined(__linux__)
namespace {
// Android's C library sets it by the kernel's number of the thread.
#if defined(__ANDROID__)
bool get_affinity(pthread_t thread, cpu_set_t& set) { return sched_getaffinity(pthread_gettid_np(thread), sizeof set, &set) == 0; }
bool set_affinity(pthread_t thread, const cpu_set_t& set) { return sched_setaffinity(pthread_gettid_np(thread), sizeof set, &set) == 0; }
#else
bool get_affinity(pthread_t thread, cpu_set_t& set) { return pthread_getaffinity_np(thread, sizeof set, &set) == 0; }
bool set_affinity(pthread_t thread, const cpu_set_t& set) { return pthread_setaffinity_np(thread, sizeof set, &set) == 0; }
#endif
}  // namespace

struct Placement::State {
  pthread_t thread;
  cpu_set_t all, now;  // what it may run on, and what of that it was given
  int off = -1;
};

Placement::Placement(std::thread& thread, std::span<const int> cpus) {
  auto state = std::make_unique<State>();
  state->thread = thread.native_handle();
  cpu_set_t pinned;
  CPU_ZERO(&pinned);
  for (const int cpu : cpus)
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(cpu, &pinned);
  if (CPU_COUNT(&pinned)) set_affinity(state->thread, pinned);
  if (!get_affinity(state->thread, state->all)) return;
  state->now = state->all;
  state_ = std::move(state);
}

void Placement::keep_off(int cpu) {
  if (!state_ || cpu == state_->off || cpu < 0 || cpu >= CPU_SETSIZE) return;
  State& s = *state_;
  cpu_set_t found;
  if (!get_affinity(s.thread, found)) return;
  if (!CPU_EQUAL(&found, &s.now)) s.all = found;
  s.now = s.all, s.off = cpu;
  CPU_CLR(cpu, &s.now);
  if (!CPU_COUNT(&s.now)) s.now = s.all;
  if (!CPU_EQUAL(&found, &s.now)) set_affinity(s.thread, s.now);
}

int current_cpu() { return sched_getcpu(); }
#else
struct Placement::State {};
Placement::Placement(std::thread&, std::span<const int>) {}
void Placement::keep_off(int) {}
int current_cpu() { return -1; }
#endif
Placement::~Placement() = default;

Memory::~Memory() {
  if (mapped_) munmap(data_, mapped_);
}

void Memory::swap(Memory& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
}

namespace {
constexpr size_t large_page = 2 << 20;
}  // namespace

Memory Memory::allocate(size_t bytes) {
  Memory memory;
  // Linux aligns a mapping for large pages where its length is a multiple of theirs; what is not written takes no memory.
  const size_t mapped = bytes < large_page ? std::max<size_t>(bytes, 1) : (bytes + large_page - 1) / large_page * large_page;
  void* at = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return memory;
  memory.data_ = static_cast<std::byte*>(at), memory.size_ = bytes, memory.mapped_ = mapped;
  return memory;
}

Status Memory::map_file(const std::string& path, Memory& out) {
  File file(-1);
  size_t size = 0;
  if (Status status = open_file(path, file, size); !status.ok()) return status;
  if (size == 0) {
    out = allocate(0);
    return out ? Status{} : failed("mapping", path);
  }
  void* at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor, 0);
  if (at == MAP_FAILED) return failed("mapping", path);
  Memory memory;
  memory.data_ = static_cast<std::byte*>(at), memory.size_ = memory.mapped_ = size;
  out = std::move(memory);
  return {};
}

Status Memory::read_file(const std::string& path, Memory& out) {
  File file(-1);
  size_t size = 0;
  if (Status status = open_file(path, file, size); !status.ok()) return status;
  Memory memory = allocate(size);
  if (!memory) return failed("allocating memory for", path);
  for (size_t done = 0; done < size;) {
    const ssize_t n = ::read(file.descriptor, memory.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("reading", path);
    if (n == 0) return {"reading " + path + ": it became shorter meanwhile"};
    done += static_cast<size_t>(n);
  }
  out = std::move(memory);
  return {};
}

void Memory::prefer_large_pages() const {
#if defined(MADV_HUGEPAGE)
  const size_t rest = size_ % large_page, bytes = size_ - rest + (rest > large_page / 2 ? large_page : 0);
  if (bytes && bytes <= mapped_) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
}

void Memory::fetch_pages(size_t offset, size_t bytes) const {
#if defined(MADV_POPULATE_READ)
  if (const size_t begin = offset / page_size() * page_size(); offset < size_) madvise(data_ + begin, std::min(size_, offset + bytes) - begin, MADV_POPULATE_READ);
#endif
}

void Memory::release_pages(size_t offset, size_t bytes) const {
  const size_t page = page_size(), end = std::min(size_, offset + bytes) / page * page;
  const size_t begin = (offset + page - 1) / page * page;
  if (begin < end) madvise(data_ + begin, end - begin, MADV_DONTNEED);
}

bool stderr_is_terminal() { return isatty(STDERR_FILENO) == 1; }

Status check_writable(const std::string& path) {
  struct stat info;
  const std::string folder = folder_of(path);
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) return {"writing " + path + ": it is there, and not a regular file"};
  if (stat(folder.c_str(), &info) != 0) return failed("writing into", folder);
  if (!S_ISDIR(info.st_mode)) return {"writing into " + folder + ": not a folder"};
  return access(folder.c_str(), W_OK | X_OK) == 0 ? Status() : failed("writing into", folder);
}

Status write_file(const std::string& path, std::span<const std::span<const std::byte>> parts) {
  static std::atomic<unsigned> counter{0};
  const std::string temporary = path + "." + std::to_string(getpid()) + "." + std::to_string(counter++) + ".partial";
  File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.descriptor < 0) return failed("creating", temporary);
  Status status;
  for (const auto part : parts)
    if (status.ok()) status = write_all(file.descriptor, part, temporary);
  if (status.ok() && fsync(file.descriptor) != 0) status = failed("syncing", temporary);
  if (!file.close() && status.ok()) status = failed("closing", temporary);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) status = failed("replacing", path);
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return sync_folder(path);
}

CodePages CodePages::allocate(size_t bytes) {
  CodePages pages;
  const size_t size = (bytes + page_size() - 1) / page_size() * page_size();
  void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at != MAP_FAILED) pages.data_ = static_cast<std::byte*>(at), pages.size_ = size;
  return pages;
}

CodePages::~CodePages() {
  if (data_) munmap(data_, size_);
}

bool CodePages::seal() {
  if (mprotect(data_, size_, PROT_READ | PROT_EXEC) != 0) return false;
  __builtin___clear_cache(reinterpret_cast<char*>(data_), reinterpret_cast<char*>(data_) + size_);
  return true;
}

bool is_file(const std::string& path) { return ::access(path.c_str(), R_OK) == 0; }

std::string own_folder() {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<void*>(&own_folder), &info) || !info.dli_fname) return {};
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

void* library_function(const std::string& path, const char* name, std::string& reason) {
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const function = library ? dlsym(library, name) : nullptr;
  if (function) return function;
  const char* const error = dlerror();
  reason = error ? error : path + " has no " + name;
  return nullptr;
}
}  // namespace kernels::os
