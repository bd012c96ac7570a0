#include "kernels/gemm/gemv.h"
#include <limits>
#include "kernels/isa_x86.h"
#include "kernels/pack.h"
#include "kernels/split.h"

namespace kernels::gemm {
namespace {
using tile::Place;
constexpr int64_t bytes = sizeof(float);
constexpr int64_t k_limit = 768;              // a longer reduction is cut evenly, to keep a panel's block in cache
constexpr int64_t a_block_bytes = 512 << 10;  // of A, read again for each panel
constexpr int64_t side_by_side_bytes = 2 << 20;  // of B, read by panels side by side: what a second-level cache has
constexpr int64_t packed_a_bytes = 64 << 10;  // of A, on the stack: 48 rows of the longest block of k in f32

class TiledGemm final : public Gemm {
 public:
  TiledGemm(const tile::Backend& backend, const Spec& spec, int64_t lda)
      : spec_(spec),
        panels_(backend, spec.n, lda * bytes, std::numeric_limits<int64_t>::max()),
        k_(tile::KBlocks::even(spec.k, backend.group ? Rows::most_k : k_limit)),
        epilogue_(backend, spec.epilogue, spec.kept),
        group_(backend.group),
        element_(backend.element()),
        pack_group_(spec.kept.x == schema::DType::f32 ? backend.pack : backend.pack_halves),
        narrow_(backend.narrow) {
    direct_ = spec.b == B::dynamic && !spec.transposed_b;
    find_heights(backend);
    ok_ = (narrow_ || fill(backend, packed_tiles_, {})) && (!direct_ || fill(backend, direct_tiles_, {.direct = true})) &&
          (!group_ || fill(backend, group_tiles_, {.packed = true})) && fill_side_by_side(backend);
  }
  bool ok() const { return ok_; }

  size_t packed_bytes() const override { return spec_.b == B::packed ? panel_bytes() : 0; }

  size_t scratch_bytes(int64_t m) const override { return spec_.b == B::packed || direct(m) ? 0 : panel_bytes(); }

  void pack_b(const float* b, int64_t ldb, void* to, int64_t n, int64_t k) const override {
    if (n < 0) n = spec_.n;
    if (k < 0) k = spec_.k;
    std::vector<float> wide(narrow_ ? static_cast<size_t>(k * panels_.vectors * panels_.lanes) : 0);
    for (int p = 0; p < panels(n); ++p) {
      std::byte* panel = static_cast<std::byte*>(to) + panels_.column(p) * spec_.k * element_;
      pack_panel(b, ldb, narrow_ ? wide.data() : reinterpret_cast<float*>(panel), p, n, k);
      if (narrow_) narrow_(panel, wide.data(), k * panels_.width(p));
    }
  }
  Panel panel(int64_t column) const override {
    const int64_t per = panels_.vectors * panels_.lanes, p = column / per;
    return {p * per * spec_.k + column % per, panels_.width(static_cast<int>(p))};
  }

  void run(const Args& args, ThreadPool& pool, int max_threads) const override {
    if (args.m <= 0 || spec_.n <= 0) return;
    const bool direct = spec_.b == B::dynamic && this->direct(args.m);
    const auto* b = static_cast<const float*>(args.b);
    if (spec_.b == B::dynamic && !direct) {
      auto* packed = static_cast<float*>(args.scratch);
      pool.run(
          panels_.count,
          [&](int64_t p) { pack_panel(b, args.ldb, packed + panels_.column(static_cast<int>(p)) * spec_.k, static_cast<int>(p), spec_.n, spec_.k); },
          max_threads);
      b = packed;
    }
    Divisible step = divisible(args.m, panels(args.n < 0 ? spec_.n : args.n));
    if (group_ && !direct && (narrow_ || args.rows || args.m >= group_)) {
      run_divided(pool, max_threads, step, [&](int64_t m0, int64_t m1, int64_t first, int64_t last) {
        packed_rows(args, b, m0, m1 - m0, static_cast<int>(first), static_cast<int>(last));
      });
      return;
    }
    // Whole tiles, the same for any number of threads: code is needed for their heights alone.
    const tile::RowSplit split = split_rows(args.m);
    step.rows = split.tiles();
    run_divided(pool, max_threads, step, [&](int64_t tile0, int64_t tile1, int64_t first, int64_t last) {
      block(args, b, direct, split.before(tile0), split.part(tile0, tile1), static_cast<int>(first),
            static_cast<int>(last));
    });
  }

 private:
  // By whether the panel is the last, place in the reduction, and rows; without code for rows that no run needs.
  struct Tiles {
    std::vector<tile::Tile> by_rows[2][4];
  };

  int64_t full_rows() const { return full_rows_; }
  // 5 to 31 tiles are an even number where that can be, which threads divide better; of more, one more or less does not count.
  tile::RowSplit split_rows(int64_t m) const {
    const tile::RowSplit fewest(m, static_cast<int>(full_rows_));
    if (fewest.tiles() < 5 || fewest.tiles() > 31 || fewest.tiles() % 2 == 0) return fewest;
    return {m, static_cast<int>(divide_up(m, fewest.tiles() + 1))};
  }
  Divisible divisible(int64_t m, int panels) const {
    const int64_t most = std::max<int64_t>(full_rows(), a_block_bytes / bytes / k_.block);
    Divisible step{.rows = m, .blocks = panels, .least = divide_up(m, most), .most = divide_up(m, full_rows())};
    step.for_rows = m * (spec_.k + spec_.n) * bytes, step.for_blocks = spec_.k * spec_.n * bytes;
    step.work = m * spec_.n * spec_.k + 4 * (step.for_rows + step.for_blocks);
    return step;
  }
  // Those of the tiles that the known rows, or multiples of rows, are cut into; a height of one serves what comes
  // otherwise.
  void find_heights(const tile::Backend& backend) {
    constexpr int64_t most_multiples = 64;
    full_rows_ = backend.max_rows[panels_.count == 1 ? panels_.last_vectors : panels_.vectors];
    heights_.assign(*std::ranges::max_element(backend.max_rows) + size_t{1}, spec_.rows <= 0 && spec_.multiple <= 0);
    heights_[1] = true;
    for (int64_t count = 1; spec_.rows <= 0 && spec_.multiple > 0 && count <= most_multiples; ++count)
      add_heights(count * spec_.multiple);
    if (spec_.rows > 0) add_heights(spec_.rows);
  }
  void add_heights(int64_t m) {
    if (full_rows_ <= 0) return;
    const tile::RowSplit split = split_rows(m);
    heights_[static_cast<size_t>(split.rows)] = true;
    if (split.smaller) heights_[static_cast<size_t>(split.rows - 1)] = true;
  }
  bool direct(int64_t m) const { return direct_ && m <= 4 * full_rows(); }
  int panels(int64_t n) const { return static_cast<int>(divide_up(n, static_cast<int64_t>(panels_.vectors) * panels_.lanes)); }  // that hold n columns
  tile::KBlocks blocks(const Args& args) const { return {args.k < 0 ? spec_.k : args.k, k_.block}; }
  size_t panel_bytes() const { return static_cast<size_t>(panels_.padded() * spec_.k * element_); }

  bool fill(const tile::Backend& backend, Tiles& tiles, tile::Shape shape) {
    shape.kept = spec_.kept.y;
    for (int last = panels_.count == 1; last < 2; ++last) {
      shape.vectors = last ? panels_.last_vectors : panels_.vectors;
      shape.tail = last ? panels_.tail : 0;
      for (const Place place : places()) {
        auto& row = tiles.by_rows[last][static_cast<int>(place)];
        if (!row.empty() || shape.vectors <= 0) continue;
        set_place(shape, place, spec_.bias, epilogue_.in_tile);
        row.resize(static_cast<size_t>(backend.max_rows[shape.vectors]) + 1);
        for (shape.rows = 1; shape.rows < static_cast<int>(row.size()); ++shape.rows)
          if ((heights_[static_cast<size_t>(shape.rows)] || group_) && !(row[static_cast<size_t>(shape.rows)] = backend.make(shape))) return false;
      }
    }
    return true;
  }

  // Few rows wait for the multiply-adds of their few sums, and for the call of each panel's tile: where B comes from a
  // cache, several panels side by side are up to twice as fast.
  bool fill_side_by_side(const tile::Backend& backend) {
    const int64_t rows = std::max<int64_t>(1, spec_.rows);
    if (rows >= std::ssize(backend.panels) || (rows > 1 && panels_.vectors > backend.vectors) || spec_.multiple > 1 ||
        spec_.n * spec_.k * bytes > side_by_side_bytes)
      return true;
    const int at_once = backend.panels[static_cast<size_t>(rows)];
    if (at_once < 2 || whole_panels() < at_once) return true;
    tile::Shape shape{.rows = static_cast<int>(rows), .vectors = panels_.vectors * at_once, .panels = at_once};
    for (const Place place : places()) {
      tile::Tile& tile = side_by_side_[static_cast<int>(place)];
      if (tile) continue;
      set_place(shape, place, spec_.bias, epilogue_.in_tile);
      if (!(tile = backend.make(shape))) return false;
    }
    return true;
  }
  int whole_panels() const { return panels_.count - (panels_.last_vectors != panels_.vectors || panels_.tail); }

  std::vector<Place> places() const {
    if (spec_.shorter && k_.count() > 1) return {Place::only, Place::first, Place::middle, Place::last};
    std::vector<Place> all;
    for (int i = 0; i < k_.count(); ++i) all.push_back(tile::place(i, k_.count()));
    return all;
  }

  // [k][columns of the panel], columns past n as zeros.
  void pack_panel(const float* b, int64_t ldb, float* to, int p, int64_t n, int64_t k_count) const {
    const int64_t width = panels_.width(p), column = panels_.column(p), used = std::min(width, n - column);
    if (!spec_.transposed_b) {
      for (int64_t k = 0; k < k_count; ++k, to += width) {
        std::copy_n(b + k * ldb + column, used, to);
        std::fill(to + used, to + width, 0.0f);
      }
      return;
    }
    pack_columns(b + column * ldb, ldb, used, width, k_count, [&](int64_t k) { return to + k * width; });
  }

  const float* packed_b(const float* b, int i, int p) const {
    return reinterpret_cast<const float*>(reinterpret_cast<const std::byte*>(b) + (panels_.column(p) * spec_.k + k_.begin(i) * panels_.width(p)) * element_);
  }

  // What tiles of one panel are given: C's rows from m0 on.
  tile::Args start(const Args& args, pointwise::Cursors& cursors, int64_t k, int p, int64_t m0) const {
    const int64_t column = panels_.column(p);
    tile::Args t{};
    t.c = pointwise::advance(args.c, m0 * args.ldc + column, spec_.kept.y);
    t.ldc = args.ldc * pointwise::bytes_of(spec_.kept.y);
    t.bias = args.bias ? args.bias + column : nullptr;
    t.k = k;
    t.outer = 1;
    t.cursors = cursors.at.data();
    return t;
  }

  // Panels [first, last) of C, for some of its rows; this thread's next panel is likely to be the one behind them.
  void block(const Args& args, const float* b, bool direct, int64_t m0, const tile::RowSplit& rows, int first,
             int last) const {
    const int64_t m = rows.total();
    const Tiles& tiles = direct ? direct_tiles_ : packed_tiles_;
    const tile::KBlocks blocks = this->blocks(args);
    for (int i = 0; i < blocks.count(); ++i) {
      const int64_t k0 = blocks.begin(i);
      const Place place = tile::place(i, blocks.count());
      const tile::Tile& several = side_by_side_[static_cast<int>(place)];
      const int at_once = several && m == several.shape->rows && !direct ? several.shape->panels : 1;
      for (int p = first, count = 1; p < last; p += count) {
        count = at_once > 1 ? std::max(1, (std::min(last, whole_panels()) - p) / at_once * at_once) : 1;
        const auto& by_rows = tiles.by_rows[p == panels_.count - 1][static_cast<int>(place)];
        pointwise::Cursors cursors(epilogue_.in_tile, args.operands, m0, panels_.column(p));
        tile::Args t = start(args, cursors, blocks.size(i), p, m0);
        t.a = args.a + m0 * args.lda + k0;
        t.lda = args.lda * bytes;
        t.b_stride = args.ldb * bytes;
        const float* panel = direct ? b + k0 * args.ldb + panels_.column(p) : packed_b(b, i, p);
        if (!direct) {
          const int next_i = p + count < last ? i : i + 1 < blocks.count() ? i + 1 : 0;
          const int next_p = p + count < last ? p + count : next_i ? first : last;
          if (next_p < panels_.count) t.prefetch = packed_b(b, next_i, next_p);
          else t.prefetch = static_cast<const float*>(args.next);
          if (t.prefetch) t.prefetch_end = t.prefetch + blocks.size(next_i) * panels_.width(next_p < panels_.count ? next_p : 0);
        }
        if (count == 1) {
          run_rows(t, by_rows, panel, rows);
          continue;
        }
        t.b_stride = panels_.width(p) * spec_.k * bytes;
        run_tiles(t, several, panel, count / at_once);
      }
    }
    pass(args, m0, m, first, last);
  }

  // The same for packed rows of A, as many at a time as a first- or second-level cache holds beside a panel.
  void packed_rows(const Args& args, const float* b, int64_t m0, int64_t m, int first, int last) const {
    alignas(64) std::byte a[packed_a_bytes];
    const tile::KBlocks blocks = this->blocks(args);
    for (int i = 0; i < blocks.count(); ++i) {
      const int64_t k0 = blocks.begin(i), k = blocks.size(i), full = full_rows();
      const auto place = static_cast<int>(tile::place(i, blocks.count()));
      const int64_t most = packed_a_bytes / element_ / std::max<int64_t>(k, 1) / full * full;
      for (int64_t row = m0; row < m0 + m; row += most) {
        const int64_t rows = std::min(most, m0 + m - row);
        if (args.rows) args.rows->pack(a, row, rows, k0, k);
        else pack_rows(a, args, row, rows, k0, k);
        for (int p = first; p < last; ++p) {
          const auto& by_rows = group_tiles_.by_rows[p == panels_.count - 1][place];
          pointwise::Cursors cursors(epilogue_.in_tile, args.operands, row, panels_.column(p), spec_.kept);
          tile::Args t = start(args, cursors, k, p, row);
          t.a = reinterpret_cast<const float*>(a);
          t.lda = k * group_ * element_;
          run_tiles(t, by_rows[full], packed_b(b, i, p), rows / full);
          run_tiles(t, by_rows[rows % full], packed_b(b, i, p), rows % full ? 1 : 0);
        }
      }
    }
    pass(args, m0, m, first, last);
  }

  void pack_rows(std::byte* to, const Args& args, int64_t row, int64_t rows, int64_t k0, int64_t k) const {
    for (int64_t r = 0; r < rows; r += group_, to += group_ * k * element_) {
      const void* from[8];
      for (int64_t i = 0; i < group_; ++i) from[i] = pointwise::advance(args.a, (row + std::min(r + i, rows - 1)) * args.lda + k0, spec_.kept.x);
      pack_group_(to, from, k, 1, 0);
    }
  }

  static void run_rows(tile::Args& t, const std::vector<tile::Tile>& by_rows, const float* panel,
                       const tile::RowSplit& split) {
    const auto made = [&](int rows) { return bool(by_rows[static_cast<size_t>(rows)]); };
    if ((!split.larger || made(split.rows)) && (!split.smaller || made(split.rows - 1))) {
      run_tiles(t, by_rows[static_cast<size_t>(split.rows)], panel, split.larger);
      if (split.smaller) run_tiles(t, by_rows[static_cast<size_t>(split.rows - 1)], panel, split.smaller);
      return;
    }
    int64_t m = split.total();
    for (size_t rows = by_rows.size() - 1; rows > 0; --rows) {
      if (!by_rows[rows]) continue;
      run_tiles(t, by_rows[rows], panel, m / static_cast<int64_t>(rows));
      m %= static_cast<int64_t>(rows);
    }
  }

  static void run_tiles(tile::Args& t, const tile::Tile& tile, const float* panel, int64_t count) {
    if (count <= 0) return;
    t.b = panel;
    t.tiles = count;
    t.shape = tile.shape.get();
    tile.function(&t);  // leaves a, c and the cursors at the row after
  }

  // The epilogue that tiles have not.
  void pass(const Args& args, int64_t m0, int64_t m, int first, int last) const {
    if (!epilogue_.pass) return;
    const int64_t c0 = panels_.column(first), c1 = last == panels_.count ? spec_.n : panels_.column(last);
    const pointwise::Operands operands = pointwise::offset(spec_.epilogue, args.operands, m0, c0, spec_.kept);
    float* c = pointwise::advance(args.c, m0 * args.ldc + c0, spec_.kept.y);
    epilogue_.pass.run({c, args.ldc, c, args.ldc, operands.data(), m, c1 - c0});
  }

  Spec spec_;
  tile::Panels panels_;
  tile::KBlocks k_;
  tile::Epilogue epilogue_;
  int group_;  // of rows that are packed together, or 0
  int64_t full_rows_ = 0;
  std::vector<bool> heights_;
  int64_t element_;
  tile::Backend::Pack pack_group_;
  void (*narrow_)(void*, const float*, int64_t);  // null: operands are in f32
  Tiles packed_tiles_, direct_tiles_, group_tiles_;
  tile::Tile side_by_side_[4];  // by place in the reduction; none: panels one by one
  bool direct_ = false, ok_ = false;
};

// `on_halves`: vectors of 512 bits are computed in halves. One takes as long as two of 256 bits, and few columns need
// fewer of these.
template <const tile::Backend& backend, bool on_halves> Support supports(const Spec& spec) {
  constexpr int64_t few = 24;
  if (spec.n < 0 || spec.k < 0) return {0, "a negative extent"};
  if (std::string reason = tile::refusal(backend, spec.precision); !reason.empty()) return {0, reason};
  if (std::string_view reason = refusal(spec.kept, backend.pack_halves); !reason.empty()) return {0, std::string(reason)};
  if (backend.narrow && (spec.b == B::dynamic || spec.shorter)) return {0, spec.shorter ? "its extents vary" : "B is not constant"};
  if (!spec.epilogue.empty())
    if (std::string reason = pointwise::unsupported(spec.epilogue); !reason.empty()) return {0, "epilogue: " + reason};
  return {on_halves && spec.n <= few && isa::runs(isa::avx512, backend.isa) ? 2.5 * backend.cost : backend.cost, {}};
}

template <const tile::Backend& backend> Kernel make_row(const Spec& spec) { return make(backend, spec, spec.k); }
}  // namespace

Kernel make(const tile::Backend& backend, const Spec& spec, int64_t lda) {
  auto gemm = std::make_shared<const TiledGemm>(backend, spec, lda);
  return gemm->ok() ? gemm : nullptr;
}

namespace {
template <bool on_halves> std::span<const Row> table() {
  static constexpr Row table[] = {
#define KERNEL(name, isa, rows, backend) \
  {#name, isa, rows, supports<tile::backend, on_halves>, make_row<tile::backend>},
#define GEMV(name, isa, where) \
  {#name, isa, 1, supports_gemv, [](const Spec& spec) { return make_gemv(spec, where::dots, isa); }},
#include "kernels/gemm/kernels.inc"
  };
  return table;
}
}  // namespace

std::span<const Row> rows() { return table<false>(); }

// Plans for an instruction set that is named are the same on every machine, but for what they do not pack.
Choice select(const Spec& spec, isa::Mask have) {
  const bool here = have == isa::detected() || (spec.shorter && isa::runs(have, isa::detected()));
  return choose(here && isa::halves_512() ? table<true>() : table<false>(), spec, have);
}
}  // namespace kernels::gemm
