#include "kernels/cuda/nvrtc.h"
#include <dlfcn.h>
#include <unistd.h>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>

namespace kernels::cuda {
namespace {
thread_local std::string last_failure;
Failure fail(std::string message) {
  last_failure = std::move(message);
  return last_failure.c_str();
}

// A driver loads what its own major version of CUDA compiles, and older ones; that it has the backend's is known.
#if defined(CUDART_VERSION)
constexpr int newest = CUDART_VERSION / 1000;
#else  // for the tests of the host, which load nothing
constexpr int newest = INT32_MAX;
#endif

// The few functions of nvrtc.h that are used; 0 is success.
struct Nvrtc {
  using Program = struct Opaque*;
  int (*version)(int* major, int* minor);
  int (*create)(Program*, const char* source, const char* name, int headers, const char* const* texts,
                const char* const* names);
  int (*compile)(Program, int options, const char* const*);
  int (*log_size)(Program, size_t*);
  int (*log)(Program, char*);
  int (*cubin_size)(Program, size_t*);
  int (*cubin)(Program, char*);
  int (*destroy)(Program*);
  std::string failure;
  int major = 0, minor = 0;

  Nvrtc() {
    const char* given = std::getenv("INLAY_NVRTC_LIBRARY");
    if (given && *given) {
      open(given);
      return;
    }
    for (const char* name : {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so", "/usr/local/cuda/lib64/libnvrtc.so"})
      if (open(name)) return;
  }

 private:
  bool open(const char* name) {
    failure.clear();
    void* const library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      failure = std::string("NVRTC cannot be opened: ") + dlerror();
      return false;
    }
    const auto find = [&](auto& function, const char* symbol) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, symbol));
      if (!function) failure = std::string("NVRTC has no ") + symbol;
    };
    find(version, "nvrtcVersion"), find(create, "nvrtcCreateProgram"), find(compile, "nvrtcCompileProgram");
    find(log_size, "nvrtcGetProgramLogSize"), find(log, "nvrtcGetProgramLog"), find(cubin_size, "nvrtcGetCUBINSize");
    find(cubin, "nvrtcGetCUBIN"), find(destroy, "nvrtcDestroyProgram");
    if (failure.empty() && version(&major, &minor) != 0) failure = "NVRTC does not say its version";
    if (failure.empty() && major > newest)
      failure = "NVRTC " + std::to_string(major) +
                " may make code that the driver does not load: the backend is of CUDA " + std::to_string(newest);
    return failure.empty();
  }
};
const Nvrtc& nvrtc() {
  static const Nvrtc one;
  return one;
}

std::filesystem::path cache_folder() {
  if (const char* given = std::getenv("INLAY_CUDA_CACHE")) return given;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache)
    return std::filesystem::path(cache) / "inlay" / "cuda";
  const char* home = std::getenv("HOME");
  return home && *home ? std::filesystem::path(home) / ".cache" / "inlay" / "cuda" : std::filesystem::path();
}
// What a file begins with, and what it is found by.
std::string key_of(const std::string& source, int sm) {
  const Nvrtc& n = nvrtc();
  return "inlay cubin sm_" + std::to_string(sm) + " nvrtc " + std::to_string(n.major) + "." + std::to_string(n.minor) +
         "\n" + source + '\0';
}
std::filesystem::path file_of(const std::string& key) {
  const auto folder = cache_folder();
  if (folder.empty()) return {};
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : key) hash = (hash ^ uint8_t(c)) * 0x100000001b3;
  char name[32];
  std::snprintf(name, sizeof name, "%016llx.cubin", static_cast<unsigned long long>(hash));
  return folder / name;
}
bool read_file(const std::filesystem::path& path, const std::string& key, std::vector<char>& cubin) {
  std::ifstream file(path, std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  if (!all.starts_with(key)) return false;
  cubin.assign(all.begin() + std::ptrdiff_t(key.size()), all.end());
  return !cubin.empty();
}
// Appears under its name when it is whole. What cannot be written is compiled again.
void write_file(const std::filesystem::path& path, const std::string& key, const std::vector<char>& cubin) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  const std::filesystem::path part = path.string() + "." + std::to_string(getpid());
  std::ofstream file(part, std::ios::binary);
  file.write(key.data(), std::streamsize(key.size())).write(cubin.data(), std::streamsize(cubin.size()));
  file.close();
  if (file) std::filesystem::rename(part, path, error);
  if (!file || error) std::filesystem::remove(part, error);
}

Failure compile(const std::string& source, int sm, std::vector<char>& cubin) {
  const Nvrtc& n = nvrtc();
  Nvrtc::Program program = nullptr;
  if (n.create(&program, source.c_str(), "inlay.cu", 0, nullptr, nullptr) != 0)
    return fail("NVRTC does not take a program");
  const std::string arch = "--gpu-architecture=sm_" + std::to_string(sm);
  const char* const options[] = {arch.c_str(), "--std=c++17"};
  Failure failure = nullptr;
  size_t size = 0;
  if (n.compile(program, int(std::size(options)), options) != 0) {
    std::string log;
    if (n.log_size(program, &size) == 0 && size > 1) log.resize(size), n.log(program, log.data()), log.resize(size - 1);
    failure = fail("NVRTC does not compile for sm_" + std::to_string(sm) + ": " + log);
  } else if (n.cubin_size(program, &size) != 0 || size == 0) {
    failure = fail("NVRTC gives no machine code");
  } else {
    cubin.resize(size);
    if (n.cubin(program, cubin.data()) != 0) failure = fail("NVRTC gives no machine code");
  }
  n.destroy(&program);
  return failure;
}
}  // namespace

Failure compile_source(const std::string& source, int sm, std::vector<char>& cubin) {
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  if (!nvrtc().failure.empty()) return fail(nvrtc().failure);
  const std::string key = key_of(source, sm);
  const auto file = file_of(key);
  if (!file.empty() && read_file(file, key, cubin)) return nullptr;
  if (Failure f = compile(source, sm, cubin)) return f;
  if (!file.empty()) write_file(file, key, cubin);
  return nullptr;
}
}  // namespace kernels::cuda
