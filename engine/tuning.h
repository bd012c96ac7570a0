// What was measured to be fastest on one machine, by what a step computes: the choices that `inlay tune` writes and compile() follows.
// They concern speed alone. Of a kernel chosen so, results are as exact as of any other, and the same for any number of threads.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include "engine/op.h"

namespace engine {
struct TunedChoice {
  enum Threads : uint8_t { as_planned, one, all };
  std::string kernel;  // a row of its family's table
  int panel = 0;       // vectors of a register tile's columns; 0: as the tile has it
  Threads threads = as_planned;
  auto operator<=>(const TunedChoice&) const = default;
};

class Tuning {
 public:
  using Key = ContentHash::Bits;
  // Of a node whose types are determined: its op and bodies, types, pitches and precision; not its name or its weights.
  static Key key_of(const LowerContext&);
  // What a cache is for: instruction sets, processor, and the version of this library.
  static std::string machine();

  // A cache of another machine or version is empty, and set_aside() says why. Throws invalid_model where the text is none.
  static Tuning parse(std::string_view text);
  static Tuning load(const std::string& path);  // throws io, too
  std::string text() const;
  void save(const std::string& path) const;  // in one step; throws io

  const std::string& set_aside() const { return set_aside_; }
  const TunedChoice* find(const Key&) const;  // the choice to use; null: the planner's
  void use(const Key& key, TunedChoice choice) { used_.insert_or_assign(pair_of(key), std::move(choice)); }
  void use_default(const Key& key) { used_.erase(pair_of(key)); }
  // The time of a candidate by that of the default; none: it was not measured yet.
  std::optional<double> measured(const Key&, const TunedChoice&) const;
  void measure(const Key& key, TunedChoice choice, double ratio) { measured_[{pair_of(key), std::move(choice)}] = ratio; }
  size_t used() const { return used_.size(); }

 private:
  using Pair = std::pair<uint64_t, uint64_t>;
  static Pair pair_of(const Key& key) { return {key.low, key.high}; }
  std::map<Pair, TunedChoice> used_;
  std::map<std::pair<Pair, TunedChoice>, double> measured_;
  std::string set_aside_;
};
}  // namespace engine
