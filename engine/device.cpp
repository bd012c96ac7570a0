#include "engine/device.h"
#include <cstdlib>
#include <map>
#include "kernels/cuda/backend.h"
#include "kernels/os.h"

namespace engine {
namespace {
const kernels::cuda::Backend& open_backend(const std::string& path) {
  std::string reason;
  void* const function = kernels::os::library_function(path, kernels::cuda::open_name, reason);
  require(function, Code::unsupported, "the CUDA backend cannot be opened: ", reason);
  const auto* backend = reinterpret_cast<kernels::cuda::Open>(function)(kernels::cuda::backend_version);
  require(backend, Code::unsupported, "the CUDA backend ", path, " is not of this library's version");
  return *backend;
}

// Beside the library or program that this code is part of.
std::string default_library() {
  const std::string name = "libinlay_cuda.so", folder = kernels::os::own_folder();
  const std::string beside = folder + '/' + name;
  return !folder.empty() && kernels::os::is_file(beside) ? beside : name;
}
}  // namespace

Device::Device(const kernels::cuda::Backend& backend, int index) : backend_(backend), index_(index) {
  int count = 0;
  if (const char* failure = driver().devices(&count)) fail(Code::unsupported, "there is no CUDA device: ", failure);
  require(index >= 0 && index < count, Code::invalid_argument, "there is no CUDA device ", index, "; there ", count == 1 ? "is " : "are ", count);
  kernels::cuda::DeviceInfo info;
  require_done(driver().describe(index, &info));
  sm_ = info.sm, name_ = info.name;
  constexpr int least = 80;
  require(sm_ >= least, Code::unsupported, "CUDA device ", index, " (", name_, ") has compute capability ", sm_ / 10, '.', sm_ % 10,
          "; the backend needs 8.0");
  require_done(driver().make_stream(index, &stream_));
}

const kernels::cuda::Driver& Device::driver() const { return backend_.driver; }

Device::~Device() {
  if (stream_) driver().end_stream(stream_);
}

std::shared_ptr<Device> Device::open(const std::string& library, int index) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, int>, std::weak_ptr<Device>> opened;
  const std::scoped_lock lock(mutex);
  std::weak_ptr<Device>& known = opened[{library, index}];
  if (auto device = known.lock()) return device;
  const std::shared_ptr<Device> device(new Device(open_backend(library), index));
  known = device;
  return device;
}

std::shared_ptr<Device> Device::cuda(int index) {
  const char* given = std::getenv("INLAY_CUDA_LIBRARY");
  return open(given && *given ? given : default_library(), index);
}

void Device::upload(void* to, const void* from, size_t bytes) {
  const std::scoped_lock lock(mutex_);
  require_done(driver().upload(stream_, to, from, bytes));
  require_done(driver().synchronise(stream_));
}

void Device::download(void* to, const void* from, size_t bytes) {
  const std::scoped_lock lock(mutex_);
  require_done(driver().download(stream_, to, from, bytes));
  require_done(driver().synchronise(stream_));
}

DeviceMemory::DeviceMemory(std::shared_ptr<Device> device, size_t bytes, Kind kind) : device_(std::move(device)), size_(bytes), kind_(kind) {
  if (!bytes) return;
  void* memory = nullptr;
  const kernels::cuda::Driver& driver = device_->driver();
  const char* failure = (kind == pinned ? driver.allocate_pinned : driver.allocate)(device_->index(), bytes, &memory);
  require(!failure, Code::out_of_memory, "cannot allocate ", bytes, " bytes of ", kind == pinned ? "pinned memory" : "device memory", ": ", failure ? failure : "");
  data_ = static_cast<std::byte*>(memory);
}

DeviceMemory::~DeviceMemory() {
  if (!data_) return;
  if (kind_ == pinned) device_->driver().release_pinned(data_);
  else device_->driver().release(device_->index(), data_);
}
}  // namespace engine
