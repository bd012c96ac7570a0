// A device beside the CPU: a GPU behind a backend's library, opened when it is asked for.
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include "engine/error.h"

namespace kernels::cuda {
struct Backend;
struct Driver;
struct Stream;
}  // namespace kernels::cuda

namespace engine {
class Device : public std::enable_shared_from_this<Device> {
 public:
  // GPU `index`. Throws unsupported, and says what is missing: the backend's library, a driver, a GPU. The library is
  // $INLAY_CUDA_LIBRARY, else libinlay_cuda.so beside the runtime's, else where the system looks for libraries.
  static std::shared_ptr<Device> cuda(int index = 0);
  static std::shared_ptr<Device> open(const std::string& library, int index);

  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const kernels::cuda::Backend& backend() const { return backend_; }
  const kernels::cuda::Driver& driver() const;
  int index() const { return index_; }
  int sm() const { return sm_; }  // the compute capability: 80, 90
  const std::string& name() const { return name_; }

  // Copies, and waits for the copy.
  void upload(void* to, const void* from, size_t bytes);
  void download(void* to, const void* from, size_t bytes);

 private:
  Device(const kernels::cuda::Backend&, int index);
  const kernels::cuda::Backend& backend_;
  const int index_;
  int sm_ = 0;
  std::string name_;
  std::mutex mutex_;  // of the stream
  kernels::cuda::Stream* stream_ = nullptr;
};

// Throws where a call of a backend failed.
inline void require_done(const char* failure) { require(!failure, Code::device, failure ? failure : ""); }

// What the driver made, given back at the end.
class DeviceMemory {
 public:
  enum Kind : bool { on_device, pinned };
  DeviceMemory() = default;
  DeviceMemory(std::shared_ptr<Device>, size_t bytes, Kind = on_device);  // throws out_of_memory
  DeviceMemory(DeviceMemory&& other) noexcept { swap(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    DeviceMemory(std::move(other)).swap(*this);
    return *this;
  }
  ~DeviceMemory();
  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void swap(DeviceMemory& other) noexcept {
    std::swap(device_, other.device_), std::swap(data_, other.data_), std::swap(size_, other.size_), std::swap(kind_, other.kind_);
  }
  std::shared_ptr<Device> device_;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  Kind kind_ = on_device;
};
}  // namespace engine
