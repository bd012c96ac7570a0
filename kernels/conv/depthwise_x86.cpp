// Depthwise convolution and convolution in narrow groups, generated: vectors over the channels of y, a block of rows ×
// columns of y in registers, for which each vector of x is loaded once. In groups, the block's loop runs over the
// channels of a group: a vector of x then has, in each lane, that channel of the lane's group. Rows of x come through a
// table of pointers, where a row of zeros stands for the padding above and below; columns in the padding are left out
// of the code. Distances between pixels and rows are arguments, so that layers of other widths and channels share code:
// one addition for each vector of x and of y, which multiply-adds hide. Compiled for the baseline: AVX2 and AVX-512
// exist only in the bytes emitted.
#if defined(__x86_64__)
#include <array>
#include <memory>
#include <mutex>
#include <numeric>
#include "kernels/conv/depthwise.h"
#include "kernels/pointwise/emit.h"

namespace kernels::conv {
namespace {
using namespace Xbyak::util;
using pointwise::Mode;

constexpr int most_rows = 8;  // of x that a block reads: one address register each
constexpr int most_copied = 128;  // vectors of x

// What a piece of code depends on.
struct Block {
  int rows, columns;  // of y
  int kernel_h, kernel_w, stride_h, stride_w, dilation_w;
  int first, last;  // columns of x inside the image, counted from the one under the first tap
  int inputs;       // channels of x in a group; 1: depthwise
  int group;        // lanes that share a group: fewer than a vector has, or all
  bool bias;
  bool copies;  // its part of x is read from a copy
  pointwise::Chain epilogue;
  bool operator==(const Block&) const = default;
  int x_rows() const { return stride_h * (rows - 1) + kernel_h; }
  int x_vectors() const { return x_rows() * (last - first); }
  int taps() const { return kernel_h * kernel_w; }
};
struct BlockHash {
  size_t operator()(const Block& b) const {
    size_t seed = pointwise::Hash()(b.epilogue);
    for (const int64_t value :
         {int64_t{b.rows}, int64_t{b.columns}, int64_t{b.kernel_h}, int64_t{b.kernel_w}, int64_t{b.stride_h},
          int64_t{b.stride_w}, int64_t{b.dilation_w}, int64_t{b.first}, int64_t{b.last}, int64_t{b.inputs},
          int64_t{b.group}, int64_t{b.bias}, int64_t{b.copies}})
      hash_combine(seed, static_cast<size_t>(value));
    return seed;
  }
};

struct BlockArgs {
  const float* rows[most_rows];  // each at column `first`, channel 0
  int64_t x_pixel, y_pixel;      // bytes from pixel to pixel
  int64_t y_turn;                // and from where a row of the block ends in y to its next one
  const float *w, *bias;         // w at the first channel, bias at channel 0
  float* y;                      // channel 0
  const float* operands[pointwise::Chain::max_operands];  // channel 0
  int64_t channel, vectors;  // where it starts, in bytes; how many vectors of channels
  int64_t input;             // of x, where all lanes share a group: its first channel, in bytes
  int64_t inputs;            // generated code's own: channels of a group left to add
  float* copy;               // of the vectors of x: most_copied of them, aligned to 64 bytes
};
using BlockFunction = void (*)(BlockArgs*);

// Registers: sums from the top; below them the lanes' places in their groups, those for x, and for all weights, or those of
// the rows of the kernel that one row of x meets.
template <class Isa> struct Registers {
  static bool all_weights(int taps, int sums, bool turns) { return taps <= 9 && taps + sums + 2 + turns <= Isa::registers; }
  static int rows_met(int kernel_h, int stride_h, int rows) { return std::min(kernel_h, stride_h * (rows - 1) + 1); }
  static bool turns(int64_t inputs, int64_t group) { return inputs > 1 && group < Isa::lanes; }
  static bool fits(const Spec& s, int rows, int columns) {
    const int sums = rows * columns, taps = s.kernel_h * s.kernel_w;
    const bool turned = turns(s.channels / s.groups, s.out_channels / s.groups);
    if (s.stride_h * (rows - 1) + s.kernel_h > most_rows) return false;
    if (all_weights(taps, sums, turned)) return true;
    return rows_met(s.kernel_h, s.stride_h, rows) * s.kernel_w + sums + 2 + turned <= Isa::registers;
  }
};

template <class Isa> class BlockGenerator : public jit::Generator {
 public:
  using Vmm = typename Isa::Vmm;
  explicit BlockGenerator(const Block& block)
      : b_(block),
        turns_(Registers<Isa>::turns(block.inputs, block.group)),
        all_(Registers<Isa>::all_weights(block.taps(), block.rows * block.columns, turns_)),
        kept_(all_ ? block.kernel_h : Registers<Isa>::rows_met(block.kernel_h, block.stride_h, block.rows)),
        emit_(*this) {
    prologue<Isa>();
    for (int i = 0; i < b_.x_rows(); ++i) mov(row(i), field(offsetof(BlockArgs, rows) + static_cast<size_t>(i) * 8));
    mov(w, field(offsetof(BlockArgs, w))), mov(y, field(offsetof(BlockArgs, y))), mov(channel, field(offsetof(BlockArgs, channel)));
    Xbyak::Label next, next_input, places;
    L(next);
    start();
    if (!b_.copies) mov(pixel(), field(offsetof(BlockArgs, x_pixel)));
    if (b_.inputs == 1) {
      multiply();
      add(w, b_.taps() * Isa::lanes * 4);
    } else {
      if (turns_) lea(rax, ptr[rip + places]);
      else mov(input, field(offsetof(BlockArgs, input)));
      if (turns_ && b_.copies) copy_block();
      mov(field(offsetof(BlockArgs, inputs)), b_.inputs);
      L(next_input);
      if (turns_) {
        vmovups(place(), ptr[rax]);
      } else if (b_.copies) {
        Xbyak::Label copied;
        test(field(offsetof(BlockArgs, inputs)), Isa::lanes - 1), jnz(copied, T_NEAR);
        copy_block();
        L(copied);
      }
      multiply();
      add(w, b_.taps() * Isa::lanes * 4);
      turns_ ? add(rax, Isa::lanes * 4) : add(input, 4);
      if (!turns_ && b_.copies) add(copy(), 4);
      dec(field(offsetof(BlockArgs, inputs))), jnz(next_input, T_NEAR);
    }
    finish();
    add(channel, Isa::lanes * 4);
    dec(field(offsetof(BlockArgs, vectors))), jnz(next, T_NEAR);
    epilogue();
    emit_.constants();
    if (!turns_) return;
    align(64);
    L(places);
    for (int k = 0; k < b_.inputs; ++k)
      for (int lane = 0; lane < Isa::lanes; ++lane) dd(static_cast<uint32_t>(lane / b_.group * b_.group + k));
  }

 private:
  Xbyak::Address field(size_t offset) { return qword[rdi + offset]; }
  const Xbyak::Reg64& row(int i) const {
    static const Xbyak::Reg64 registers[most_rows] = {rsi, r8, r9, r10, r11, r12, r13, r14};
    return registers[i];
  }
  Vmm sum(int r, int c) const { return Vmm(Isa::registers - 1 - (r * b_.columns + c)); }
  Vmm place() const { return Vmm(Isa::registers - 1 - b_.rows * b_.columns); }
  Vmm weight(int kh, int kw) const { return Vmm(kh % kept_ * b_.kernel_w + kw); }
  int weights() const { return kept_ * b_.kernel_w; }

  void start() {
    if (b_.bias) mov(rax, field(offsetof(BlockArgs, bias)));
    for (int r = 0; r < b_.rows; ++r)
      for (int c = 0; c < b_.columns; ++c) {
        if (r + c) vmovaps(sum(r, c), sum(0, 0));
        else b_.bias ? vmovups(sum(0, 0), ptr[rax + channel]) : vxorps(sum(0, 0), sum(0, 0), sum(0, 0));
      }
  }

  void load_weights(int kh) {
    for (int kw = 0; kw < b_.kernel_w; ++kw) vmovups(weight(kh, kw), ptr[w + (kh * b_.kernel_w + kw) * Isa::lanes * 4]);
  }

  // Each vector of x inside the image, for all the sums that it is a term of.
  void multiply() {
    const int spare = weights(), spares = std::min(6, Isa::registers - b_.rows * b_.columns - turns_ - spare);
    if (all_)
      for (int kh = 0; kh < b_.kernel_h; ++kh) load_weights(kh);
    for (int i = 0, loads = 0; i < b_.x_rows(); ++i) {
      if (!all_ && i < b_.kernel_h) load_weights(i);
      if (!b_.copies) mov(column, in_group() ? input : channel);
      for (int j = b_.first, at = j; j < b_.last; ++j) {
        const Vmm x(spare + loads % spares);
        bool loaded = false;
        for (int r = 0; r < b_.rows; ++r) {
          const int kh = i - r * b_.stride_h;
          if (kh < 0 || kh >= b_.kernel_h) continue;
          for (int kw = 0; kw < b_.kernel_w; ++kw) {
            const int left = j - kw * b_.dilation_w;
            if (left < 0 || left % b_.stride_w || left / b_.stride_w >= b_.columns) continue;
            if (!loaded) {
              if (!b_.copies) walk(j - at), at = j;
              load(x, i, j), loaded = true, ++loads;
            }
            vfmadd231ps(sum(r, left / b_.stride_w), x, weight(kh, kw));
          }
        }
      }
    }
  }

  void walk(int columns) {
    for (int scale = 8; scale > 1; columns %= scale, scale /= 2)
      for (int i = 0; i < columns / scale; ++i) lea(column, ptr[column + pixel() * scale]);
    if (columns) add(column, pixel());
  }

  void load(const Vmm& x, int i, int j) {
    const auto from = b_.copies ? copied(i, j) : ptr[row(i) + column];
    b_.inputs == 1 ? vmovups(x, from) : turns_ ? vpermps(x, place(), from) : vbroadcastss(x, from);
  }
  bool in_group() const { return b_.inputs > 1 && !turns_; }  // one channel of x for all lanes
  const Xbyak::Reg64& pixel() const { return in_group() ? rax : rbp; }
  const Xbyak::Reg64& copy() const { return turns_ ? rbp : rax; }
  Xbyak::Address copied(int i, int j) { return ptr[copy() + (i * (b_.last - b_.first) + j - b_.first) * Isa::lanes * 4]; }
  void copy_block() {
    mov(copy(), field(offsetof(BlockArgs, copy)));
    int n = 0;
    for (int i = 0; i < b_.x_rows(); ++i) {
      mov(column, in_group() ? input : channel);
      for (int j = b_.first; j < b_.last; ++j, ++n) {
        const Vmm x(n % weights());
        if (j > b_.first) add(column, field(offsetof(BlockArgs, x_pixel)));
        vmovups(x, ptr[row(i) + column]);
        vmovaps(copied(i, j), x);
      }
    }
  }

  void finish() {
    mov(rbp, field(offsetof(BlockArgs, y_pixel)));
    lea(column, ptr[y + channel]);
    emit_.keep(b_.epilogue);
    for (int r = 0; r < b_.rows; ++r) {
      if (r) add(column, field(offsetof(BlockArgs, y_turn)));
      for (int c = 0; c < b_.columns; ++c) {
        for (const pointwise::Stage& stage : b_.epilogue) apply(stage, sum(r, c));
        vmovups(ptr[column], sum(r, c));
        if (c + 1 < b_.columns || r + 1 < b_.rows) add(column, rbp);
      }
    }
  }

  void apply(const pointwise::Stage& stage, const Vmm& value) {
    if (!stage.binary) return emit_.unary(stage, value);
    mov(rax, field(offsetof(BlockArgs, operands) + stage.operand * 8u));
    stage.mode == Mode::scalar ? vbroadcastss(emit_.t0, ptr[rax]) : vmovups(emit_.t0, ptr[rax + channel]);
    emit_.binary(stage, value, emit_.t0);
  }

  const Block& b_;
  const bool turns_, all_;
  const int kept_;  // rows of the kernel
  pointwise::Emitter<Isa> emit_;
  const Xbyak::Reg64 w = rdx, y = rcx, channel = rbx, input = rbp, column = r15;
};

// Chains whose operands are the same for every pixel; others are a pass over finished rows.
bool emitted(const pointwise::Chain& chain) {
  return pointwise::emit_refusal(chain).empty() && !chain.has(Mode::full) && !chain.has(Mode::per_row);
}

// What rows in the padding read, of all convolutions that live: at least so many bytes. Null on failure.
std::shared_ptr<const os::Memory> zeros(size_t bytes) {
  static std::mutex mutex;
  static std::weak_ptr<const os::Memory> largest;
  const std::scoped_lock lock(mutex);
  auto held = largest.lock();
  if (held && held->size() >= bytes) return held;
  auto memory = std::make_shared<const os::Memory>(os::Memory::allocate(std::max<size_t>(bytes, 64 << 10)));
  if (!*memory) return nullptr;
  largest = memory;
  return memory;
}

template <class Isa> class DepthwiseBlocks final : public Conv {
 public:
  DepthwiseBlocks(const Spec& spec, isa::Mask target)
      : s_(spec),
        inputs_(spec.channels / spec.groups),
        group_(spec.out_channels / spec.groups),
        out_width_(static_cast<int>(spec.out_width())) {
    if (!spec.epilogue.empty() && !emitted(spec.epilogue)) pass_ = pointwise::select(spec.epilogue, target).kernel;
    shape(spec, rows_, columns_);
    const int count = (out_width_ + columns_ - 1) / std::max(1, columns_);
    for (int i = 0, column = 0; i < count && ok_; ++i) {
      const int columns = (out_width_ - column + count - i - 1) / (count - i);
      Segment segment{column, columns, left(column) + before(column, reach(columns)), {}};
      for (int rows = 1; rows <= rows_ && ok_; rows = rows == rows_ ? rows + 1 : rows_) ok_ = (segment.code[rows > 1] = code(column, columns, rows)) != nullptr;
      segments_.push_back(std::move(segment));
      column += columns;
    }
    zeros_ = zeros(static_cast<size_t>(spec.width * spec.in_pitch()) * sizeof(float));
    ok_ = ok_ && zeros_;
  }
  bool ok() const { return ok_; }

  // How many rows and columns of y a block has.
  static bool shape(const Spec& s, int& rows, int& columns) {
    const int width = static_cast<int>(std::min<int64_t>(s.out_width(), 1 << 20));
    for (rows = !Isa::masks || s.dilation_h != 1 ? 1 : s.stride_h == 1 ? 3 : 2; rows >= 1; --rows)
      for (columns = std::min(rows > 1 ? 7 : 10, width); columns >= (rows > 1 ? std::min(4, width) : 1); --columns)
        if (columns > 0 && Registers<Isa>::fits(s, rows, columns)) return true;
    return false;
  }

  size_t packed_bytes() const override { return static_cast<size_t>(vectors() * vector_weights()) * sizeof(float); }
  // [vector of channels][channel of x in its group][tap][lane]; the last vector ends with the last channel.
  void pack(const float* w, void* packed) const override {
    auto* to = static_cast<float*>(packed);
    for (int64_t v = 0; v < vectors(); ++v)
      for (int64_t k = 0; k < inputs_; ++k)
        for (int64_t tap = 0; tap < taps(); ++tap)
          for (int64_t lane = 0; lane < Isa::lanes; ++lane) *to++ = w[((channel(v) + lane) * inputs_ + k) * taps() + tap];
  }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    const int64_t out_height = args.rows < 0 ? s_.out_height(args.height) : args.rows;
    const int64_t groups = (out_height + rows_ - 1) / rows_, total = args.batch * groups;
    if (total <= 0 || out_width_ <= 0) return;
    // A part has whole vectors of its own: the last two share channels where their number is no multiple.
    const int64_t units = std::max<int64_t>(1, s_.out_channels / Isa::lanes);
    run_divided(pool, max_threads, divisible_by_channels(s_, args.batch, out_height, total, units), [&](int64_t group0, int64_t group1, int64_t first, int64_t last) {
      for (int64_t group = group0; group < group1; ++group)
        run_rows(args, group / groups, group % groups * rows_, out_height, first, last == units ? vectors() : last);
    });
  }

 private:
  struct Segment {
    int column, columns;
    int64_t first;  // column of x that code begins at: the first one in the image that a tap meets
    std::shared_ptr<const jit::Code> code[2];  // for one row, for rows_
  };

  int64_t taps() const { return static_cast<int64_t>(s_.kernel_h) * s_.kernel_w; }
  int64_t vector_weights() const { return inputs_ * taps() * Isa::lanes; }
  bool shared() const { return inputs_ > 1 && group_ >= Isa::lanes; }  // a group by all lanes
  int64_t vectors() const { return (s_.out_channels + Isa::lanes - 1) / Isa::lanes; }
  int64_t channel(int64_t vector) const { return std::min(vector * Isa::lanes, s_.out_channels - Isa::lanes); }
  int64_t left(int column) const { return static_cast<int64_t>(column) * s_.stride_w - s_.pad_left; }

  // Columns of x that so many of y take in.
  int64_t reach(int columns) const {
    return static_cast<int64_t>(columns - 1) * s_.stride_w + (s_.kernel_w - 1) * s_.dilation_w + 1;
  }
  // Columns of x from the one under the first tap on that lie before the image, up to all that a segment reads.
  int before(int column, int64_t reach) const { return static_cast<int>(std::clamp<int64_t>(-left(column), 0, reach)); }

  // Whether the block's part of x has more lines than the sets of the first-level cache that they fall into hold,
  // weights aside: it is read again for each channel of a group. A copy of a vector's channels then serves as many of
  // them.
  bool collide(int64_t x_vectors) const {
    constexpr int64_t way = 4096, ways = 8, line = 64;
    const int64_t sets = way / std::max(line, std::gcd(s_.in_pitch() * 4, way));
    return x_vectors > sets * ways * 3 / 4;
  }

  std::shared_ptr<const jit::Code> code(int column, int columns, int rows) const {
    static WeakCache<Block, jit::Code, BlockHash> cache;
    const int64_t reach = this->reach(columns);
    Block block{rows,
                columns,
                s_.kernel_h,
                s_.kernel_w,
                s_.stride_h,
                s_.stride_w,
                s_.dilation_w,
                before(column, reach),
                static_cast<int>(std::clamp<int64_t>(s_.width - left(column), 0, reach)),
                static_cast<int>(inputs_),
                static_cast<int>(std::min<int64_t>(group_, Isa::lanes)),
                s_.bias,
                false,
                emitted(s_.epilogue) ? s_.epilogue : pointwise::Chain()};
    const bool again = inputs_ > 1 && (Registers<Isa>::turns(inputs_, group_) || inputs_ % Isa::lanes == 0);
    block.copies = again && block.x_vectors() <= most_copied && collide(block.x_vectors());
    return jit::shared(cache, block, [](const Block& key) {
      return jit::generate<BlockGenerator<Isa>>("depthwise_" + std::to_string(key.kernel_h) + "x" + std::to_string(key.kernel_w) +
                                                    (Isa::masks ? "_avx512" : "_avx2"), key);
    });
  }

  // Rows of y from `row` on, as many as a block has, of the vectors [first, last) of channels.
  void run_rows(const Args& args, int64_t image, int64_t row, int64_t out_height, int64_t first, int64_t last) const {
    const int64_t pitch = s_.in_pitch(), end = std::min(out_height, row + rows_);
    const bool whole = end - row == rows_;
    for (int64_t step = whole ? rows_ : 1; row < end; row += step) {
      const int64_t x_rows = s_.stride_h * (step - 1) + s_.kernel_h, y_pixel = (image * out_height + row) * out_width_;
      const float* rows[most_rows];
      for (int64_t i = 0; i < x_rows; ++i) {
        const int64_t at = (args.first_row + row) * s_.stride_h - s_.pad_top + i * s_.dilation_h;
        rows[i] = at < 0 || at >= args.height ? reinterpret_cast<const float*>(zeros_->data())
                                              : args.x + (image * args.height + at - args.x_row) * s_.width * pitch;
      }
      alignas(64) float copy[most_copied * Isa::lanes];
      for (const Segment& segment : segments_) {
        BlockArgs block;
        block.copy = copy;
        block.x_pixel = pitch * 4, block.y_pixel = s_.out_pitch() * 4,
        block.y_turn = (out_width_ - segment.columns) * s_.out_pitch() * 4;
        for (int64_t i = 0; i < x_rows; ++i) block.rows[i] = rows[i] + segment.first * pitch;
        block.y = args.y + (y_pixel + segment.column) * s_.out_pitch();
        block.bias = args.bias;
        for (int i = 0; i < s_.epilogue.operand_count(); ++i) block.operands[i] = args.operands[i].data;
        const auto call = [&](int64_t from, int64_t to) {
          if (from >= to) return;
          block.w = static_cast<const float*>(args.w) + from * vector_weights();
          block.channel = channel(from) * 4, block.vectors = to - from, block.input = channel(from) / group_ * inputs_ * 4;
          segment.code[step > 1]->template entry<BlockFunction>()(&block);
        };
        if (shared()) {
          for (int64_t v = first; v < last; ++v) call(v, v + 1);
          continue;
        }
        const int64_t even = s_.out_channels / Isa::lanes;  // vectors that start where the one before ends
        call(first, std::min(last, even)), call(std::max(first, even), last);
      }
      if (pass_) finish(args, y_pixel, step, channel(first), last == vectors() ? s_.out_channels : last * Isa::lanes);
    }
  }

  void finish(const Args& args, int64_t pixel, int64_t rows, int64_t c0, int64_t c1) const {
    const pointwise::Operands operands = pointwise::offset(s_.epilogue, args.operands, pixel, c0);
    float* y = args.y + pixel * s_.out_pitch() + c0;
    pass_.run({y, s_.out_pitch(), y, s_.out_pitch(), operands.data(), rows * out_width_, c1 - c0});
  }

  Spec s_;
  int64_t inputs_, group_;  // channels of x and of y in a group
  int out_width_, rows_ = 0, columns_ = 0;
  std::vector<Segment> segments_;
  std::shared_ptr<const os::Memory> zeros_;  // a row of x
  pointwise::Kernel pass_;
  bool ok_ = true;
};

// What registers and addresses allow.
template <class Isa> Support supports_blocks(const Spec& spec, Support support) {
  if (!support.refusal.empty()) return support;
  int rows, columns;
  constexpr int64_t farthest = 4096;  // columns between taps or pixels, which code walks over
  if (spec.out_channels < Isa::lanes) return {0, "fewer channels than a vector has lanes"};
  if (!DepthwiseBlocks<Isa>::shape(spec, rows, columns)) return {0, "no block of it fits the registers"};
  if (std::max(spec.stride_w, spec.dilation_w) > farthest) return {0, "taps or pixels are too far apart"};
  return support;
}

template <class Isa> Support supports_depthwise_blocks(const Spec& spec) {
  Support support = supports_depthwise(spec, Isa::lanes);
  support.cost /= 2;
  return supports_blocks<Isa>(spec, support);
}

template <class Isa> Support supports_grouped_blocks(const Spec& spec) {
  if (std::string reason = invalid(spec); !reason.empty()) return {0, reason};
  const int64_t in = spec.channels / spec.groups, out = spec.out_channels / spec.groups;
  if (spec.nchw_input) return {0, "x is not channels last"};
  if (in < 2) return {0, "one channel to a group"};
  if (in == out && out < Isa::lanes && Isa::lanes % out == 0) return supports_blocks<Isa>(spec, {0.62 / Isa::lanes, {}});
  // A tile of one vector is slower: it loads an element of x for each product.
  if (out != Isa::lanes) return {0, "a vector of y is neither a group nor several of as many channels as they take"};
  if (spec.kernel_h * spec.kernel_w == 1) return {0, "no tap shares an element of x with another"};
  return supports_blocks<Isa>(spec, {0.49 / Isa::lanes, {}});
}

template <class Isa> Kernel make_blocks(const Spec& spec, isa::Mask target) {
  auto kernel = std::make_shared<const DepthwiseBlocks<Isa>>(spec, target);
  return kernel->ok() ? kernel : nullptr;
}
}  // namespace

namespace depthwise_jit_avx512 {
Support supports(const Spec& spec) { return supports_depthwise_blocks<jit::Avx512>(spec); }
Kernel make(const Spec& spec) { return make_blocks<jit::Avx512>(spec, isa::avx512); }
}  // namespace depthwise_jit_avx512
namespace depthwise_jit_avx2 {
Support supports(const Spec& spec) { return supports_depthwise_blocks<jit::Avx2>(spec); }
Kernel make(const Spec& spec) { return make_blocks<jit::Avx2>(spec, isa::avx2); }
}  // namespace depthwise_jit_avx2
namespace grouped_jit_avx512 {
Support supports(const Spec& spec) { return supports_grouped_blocks<jit::Avx512>(spec); }
Kernel make(const Spec& spec) { return make_blocks<jit::Avx512>(spec, isa::avx512); }
}  // namespace grouped_jit_avx512
namespace grouped_jit_avx2 {
Support supports(const Spec& spec) { return supports_grouped_blocks<jit::Avx2>(spec); }
Kernel make(const Spec& spec) { return make_blocks<jit::Avx2>(spec, isa::avx2); }
}  // namespace grouped_jit_avx2
}  // namespace kernels::conv
#endif
