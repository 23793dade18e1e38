/* load_tally.c - how many, how long, and how much processor time the server took for it. */
#include "load.h"

#include <dirent.h>
#include <stdlib.h>
#include <time.h>

#define STEP_BITS 6
_Static_assert(HISTOGRAM_STEPS == 1 << STEP_BITS, "the bits of a step");

static uint64_t cpu_ns_of(int pid);
static double quantile_us(const struct tally *tally, unsigned class, double quantile);

_Noreturn void fail(const char *why)
{
    (void)fprintf(stderr, "load: %s\n", why);
    exit(1);
}

uint64_t clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void tally_start(struct tally *tally, const struct options *options)
{
    if (options->acked_path != NULL) {
        tally->acked = fopen(options->acked_path, "w");
        if (tally->acked == NULL) {
            fail("the file of acknowledged requests cannot be written");
        }
    }
}

void tally_begin(struct tally *tally, const struct options *options)
{
    tally->is_measuring = true;
    tally->cpu_ns = cpu_ns_of(options->pid);
    tally->begins_at = clock_ns();
    tally->ends_at = tally->begins_at + (uint64_t)(options->seconds * 1e9);
}

void tally_add(struct tally *tally, unsigned class, uint64_t took_ns)
{
    unsigned power = 0;
    uint64_t step = took_ns;

    if (took_ns >= HISTOGRAM_STEPS) {
        unsigned shift = 63U - STEP_BITS - (unsigned)__builtin_clzll(took_ns);

        power = shift + 1;
        step = (took_ns >> shift) - HISTOGRAM_STEPS;
    }
    if (power >= HISTOGRAM_POWERS) {
        power = HISTOGRAM_POWERS - 1;
        step = HISTOGRAM_STEPS - 1;
    }
    tally->histogram[class][power * HISTOGRAM_STEPS + step]++;
    tally->class_count[class]++;
    if (took_ns > tally->class_max_ns[class]) {
        tally->class_max_ns[class] = took_ns;
    }
    tally->measured++;
}

void tally_end(struct tally *tally, const struct options *options)
{
    if (tally->is_measuring) {
        tally->ends_at = clock_ns();
        /* A server that was killed has no figure any more. */
        uint64_t cpu_ns = cpu_ns_of(options->pid);
        tally->cpu_ns = cpu_ns > tally->cpu_ns ? cpu_ns - tally->cpu_ns : 0;
    }
    tally->is_measuring = false;
    tally->is_done = true;
}

/* The time on a processor of all threads of the process, as the scheduler counts it. */
static uint64_t cpu_ns_of(int pid)
{
    char path[600];
    uint64_t sum = 0;

    if (pid == 0) {
        return 0;
    }
    (void)snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = opendir(path);

    if (threads == NULL) {
        return 0;
    }
    for (struct dirent *thread = readdir(threads); thread != NULL; thread = readdir(threads)) {
        unsigned long long ran_ns = 0;

        if (thread->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, thread->d_name);
        FILE *file = fopen(path, "r");

        if (file != NULL) {
            if (fscanf(file, "%llu", &ran_ns) == 1) {
                sum += ran_ns;
            }
            (void)fclose(file);
        }
    }
    (void)closedir(threads);
    return sum;
}

void tally_print(const struct tally *tally)
{
    if (tally->acked != NULL && fclose(tally->acked) != 0) {
        fail("the file of acknowledged requests could not be written");
    }
    (void)printf(
        "{\"seconds\": %.6f, \"requests\": %llu, \"acknowledged_meanwhile\": %llu, "
        "\"bytes\": %llu, \"cpu_ns\": %llu, \"unanswered\": %llu, \"classes\": [",
        (double)(tally->ends_at - tally->begins_at) / 1e9, (unsigned long long)tally->measured,
        (unsigned long long)tally->measured_acknowledged, (unsigned long long)tally->measured_bytes,
        (unsigned long long)tally->cpu_ns, (unsigned long long)tally->unanswered);
    for (unsigned class = 0; class < CLASSES_MAX; class ++) {
        (void)printf("%s{\"requests\": %llu, \"acknowledged\": %llu, \"p50_us\": %.1f, "
                     "\"p99_us\": %.1f, \"max_us\": %.1f}",
                     class == 0 ? "" : ", ", (unsigned long long)tally->class_count[class],
                     (unsigned long long)tally->acknowledged[class],
                     quantile_us(tally, class, 0.50), quantile_us(tally, class, 0.99),
                     (double)tally->class_max_ns[class] / 1e3);
    }
    (void)printf("]}\n");
}

static double quantile_us(const struct tally *tally, unsigned class, double quantile)
{
    uint64_t wanted = (uint64_t)((double)tally->class_count[class] * quantile);
    uint64_t passed = 0;

    for (unsigned at = 0; at < HISTOGRAM_POWERS * HISTOGRAM_STEPS; at++) {
        passed += tally->histogram[class][at];
        if (passed > wanted) {
            unsigned power = at / HISTOGRAM_STEPS;
            uint64_t step = at % HISTOGRAM_STEPS;

            return (double)(power == 0 ? step : (HISTOGRAM_STEPS + step) << (power - 1)) / 1e3;
        }
    }
    return 0;
}
