// Archiving and finding keys, against the floors of archive_floor.h, in turn and in one process.
//   bench_archive one|batch FOLDER ROUNDS        archiving one key, or 100 in one change
//   bench_archive fill URL ROWS                  an archive with so many keys, made as archive add
//   bench_archive find URL ROUNDS THUMBPRINTS KIND   one of its keys by a thumbprint, serial, email
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <sys/resource.h>

#include "bench/archive_floor.h"
#include "src/base/error.h"
#include "src/ossl/algorithms.h"
#include "src/ossl/check.h"
#include "src/x509/certificate.h"
#include "tests/support/archive_world.h"

namespace {

using namespace hsmith;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kBatch = 100;

double seconds(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of the processor: what other programs take does not count, nor does waiting for the disk.
double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string name_of(std::size_t number) { return "person" + std::to_string(number); }

// Archives `count` keys a round: by the parts alone, and by hsmith.
void compare_archiving(const std::string& folder, std::size_t rounds, std::size_t count) {
  const tests::ArchiveWorld world;
  const auto key = tests::MemoryKey::generate("rsa:2048");
  recovery::Archive archive = world.make({folder + "/archive.db", ""});
  bench::RawTable table(folder + "/floor.db");
  const std::vector<X509*> agents{world.agents()[0].certificate.get(),
                                  world.agents()[1].certificate.get()};
  std::vector<double> floors, ours, ratios, floors_processor, ours_processor;
  for (std::size_t round = 0; round < rounds; ++round) {
    std::vector<recovery::Candidate> people;
    for (std::size_t i = 0; i < count; ++i)
      people.push_back(world.person(name_of(round * count + i), key));
    const double start = processor_seconds();
    const double floor = seconds([&] {
      table.begin();
      for (const auto& person : people) {
        const Bytes blob = bench::encrypt(bench::encode(person.key.get()), agents);
        const Bytes certificate = x509::certificate_der(person.certificate.get());
        table.add(recovery::sha256_of(certificate), certificate, blob);
      }
      table.commit();
    });
    const double middle = processor_seconds();
    const double own = seconds([&] { world.add(archive, people); });
    if (round < 3) continue;  // warm caches
    ours_processor.push_back(processor_seconds() - middle);
    floors_processor.push_back(middle - start);
    floors.push_back(floor);
    ours.push_back(own);
    ratios.push_back(own / floor);
  }
  const double keys = static_cast<double>(count);
  const auto line = [keys](const char* who, double wall, double processor) {
    std::printf("%-7s %8.3f ms a key, %8.0f keys/s; of the processor %6.3f ms, %6.0f keys/s\n", who,
                wall * 1e3 / keys, keys / wall, processor * 1e3 / keys, keys / processor);
  };
  line("floor", median(floors), median(floors_processor));
  line("hsmith", median(ours), median(ours_processor));
  std::printf("ratio   %8.3f (median of %zu pairs); of the processor %.3f\n", median(ratios),
              ratios.size(), median(ours_processor) / median(floors_processor));
}

// The archive's first key, and certificates like its own with other numbers in them: their
// signatures are no longer right, which nothing in an archive looks at, and making them costs
// nothing.
class Pattern {
 public:
  static constexpr const char* kFirst = "person00000000";

  Pattern(const recovery::KeyRow& row, X509* certificate)
      : row_(row),
        der_(x509::certificate_der(certificate)),
        terms_(recovery::terms_of(certificate)) {
    const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
    const std::string_view bytes(reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)),
                                 static_cast<std::size_t>(ASN1_STRING_length(serial)));
    serial_ = {as_text(der_).find(bytes), bytes.size()};
  }

  // Adds the key of the person with this number to a change.
  void add(recovery::ArchiveChange& change, std::size_t number) const {
    char digits[kDigits + 1];
    std::snprintf(digits, sizeof digits, "%08zu", number);
    Bytes der = der_;
    for (std::size_t at = 0; (at = as_text(der).find(kFirst, at)) != std::string_view::npos; ++at)
      std::memcpy(der.data() + at + 6, digits, kDigits);
    for (std::size_t i = 0; i < 4 && serial_.second > 4; ++i)
      der[serial_.first + serial_.second - 1 - i] = static_cast<unsigned char>(number >> (8 * i));
    recovery::KeyRow row = row_;
    row.certificate = recovery::sha256_of(der);
    change.terms.emplace(row.certificate, terms(der, row.certificate, digits));
    change.keys.push_back(std::move(row));
    change.objects.push_back(std::move(der));
  }

 private:
  static constexpr std::size_t kDigits = 8;

  std::vector<recovery::Term> terms(const Bytes& der, const Bytes& sha256,
                                    const char* digits) const {
    std::vector<recovery::Term> terms = terms_;
    for (recovery::Term& term : terms) {
      const std::size_t at = term.value.find(kFirst);
      if (at != std::string::npos) term.value.replace(at + 6, kDigits, digits);
      if (term.kind == "serial")
        term.value = hex(ByteView(der).subspan(serial_.first, serial_.second));
      if (term.kind == "thumbprint")
        term.value = term.value.size() == 64 ? hex(sha256)
                                             : hex(ossl::digest(ossl::digest_named("sha1"), der));
    }
    return terms;
  }

  recovery::KeyRow row_;
  Bytes der_;
  std::vector<recovery::Term> terms_;
  std::pair<std::size_t, std::size_t> serial_;  // where its bytes are, and how many
};

// A hundred keys a change. The thumbprint of each change's last certificate goes to standard
// output.
void fill(const std::string& url, std::size_t rows) {
  const tests::ArchiveWorld world;
  recovery::Archive archive = world.make(recovery::parse_store_place(url));
  std::vector<recovery::Candidate> first;
  first.push_back(world.person(Pattern::kFirst));
  world.add(archive, first);
  const Pattern pattern(*archive.store->key(1), first.front().certificate.get());
  const auto start = Clock::now();
  const double processor = processor_seconds();
  for (std::size_t done = 0; done < rows; done += kBatch) {
    recovery::ArchiveChange what;
    for (std::size_t i = 1; i <= kBatch; ++i) pattern.add(what, done + i);
    std::printf("%s\n", hex(what.keys.back().certificate).c_str());
    const auto change = archive.store->change();
    recovery::commit_change(archive, *change, std::move(what), world.seal().key, tests::kNow);
    if ((done + kBatch) % 100000 == 0) {
      std::fprintf(stderr, "%zu keys in %.0f s, of the processor %.0f s\n", done + kBatch,
                   std::chrono::duration<double>(Clock::now() - start).count(),
                   processor_seconds() - processor);
    }
  }
  const double begin = processor_seconds();
  recovery::ArchiveCounts counts;
  const double verified = seconds([&] {
    recovery::Archive again =
        world.open(recovery::parse_store_place(url), recovery::StoreMode::read);
    const auto problems = recovery::verify_archive(again, counts);
    for (const auto& problem : problems) std::fprintf(stderr, "%s\n", problem.c_str());
  });
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::fprintf(stderr, "verify: %zu keys in %.1f s, of the processor %.1f s, %ld MB of memory\n",
               counts.keys, verified, processor_seconds() - begin, usage.ru_maxrss / 1024);
}

std::vector<std::string> read_lines(const char* file) {
  std::ifstream input(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(input, line);) lines.push_back(line);
  return lines;
}

// By what the keys with these thumbprints are found, in terms of this kind; all are found once.
std::vector<std::string> values_of(recovery::Store& store,
                                   const std::vector<std::string>& thumbprints,
                                   const std::string& kind) {
  std::vector<std::string> values;
  for (const std::string& thumbprint : thumbprints) {
    for (const auto& term : store.terms(store.find("thumbprint", thumbprint, 1).at(0))) {
      if (term.kind == kind) values.push_back(term.value);
    }
  }
  return values;
}

void compare_finding(const std::string& url, std::size_t rounds, const char* file,
                     const std::string& kind) {
  const auto place = recovery::parse_store_place(url);
  const auto store = recovery::open_store(place, recovery::StoreMode::read);
  const auto values = values_of(*store, read_lines(file), kind);
  std::unique_ptr<bench::RawFind> raw;
  if (!place.file.empty()) raw = std::make_unique<bench::RawFind>(place.file.string());
  std::mt19937 random(1);
  std::vector<double> floors, ours, ratios;
  std::size_t bytes = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    std::vector<std::string> wanted;
    for (int i = 0; i < 200; ++i) wanted.push_back(values[random() % values.size()]);
    const double own = seconds([&] {
      for (const auto& one : wanted)
        bytes += store->key(store->find(kind, one, 1000).at(0))->blob.size();
    });
    ours.push_back(own);
    if (!raw) continue;
    // Other keys: what the one has just read is in memory for the other.
    for (auto& one : wanted) one = values[random() % values.size()];
    floors.push_back(seconds([&] {
      for (const auto& one : wanted) bytes += raw->find(kind, one);
    }));
    ratios.push_back(own / floors.back());
  }
  if (raw) std::printf("raw SQLite %7.2f us\n", median(floors) / 200 * 1e6);
  std::printf("hsmith     %7.2f us (%zu keys, %zu bytes read)\n", median(ours) / 200 * 1e6,
              static_cast<std::size_t>(store->count_keys()), bytes);
  if (raw) std::printf("ratio      %7.3f (median of %zu pairs)\n", median(ratios), ratios.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const std::string what = argv[1];
  const auto number = static_cast<std::size_t>(std::atol(argv[3]));
  try {
    if (what == "one") compare_archiving(argv[2], number, 1);
    if (what == "batch") compare_archiving(argv[2], number, kBatch);
    if (what == "fill") fill(argv[2], number);
    if (what == "find" && argc == 6) compare_finding(argv[2], number, argv[4], argv[5]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
