/* metrics_store.c - the database and its backups. */
#include "api/backups.h"
#include "api/metrics.h"
#include "store/measures.h"

#define NS_PER_MS 1000000

static void backups_write(struct metrics_writer *writer, struct backups *backups);

void metrics_write_store(struct metrics_writer *writer, const struct store_measures *measures,
                         struct backups *backups)
{
    metrics_family(writer, METRICS_HISTOGRAM, "migchat_commit_duration_seconds", "seconds",
                   "How long commits took, the sync of the disk included.");
    metrics_histogram(writer, NULL, &histogram_of_durations, &measures->commit_durations, 1, 0);
    metrics_number(writer, METRICS_COUNTER, "migchat_rollbacks", "",
                   "Transactions that were given up.", tally_read(&measures->rollbacks));
    metrics_number(writer, METRICS_COUNTER, "migchat_wal_written_bytes", "bytes",
                   "Written to the write-ahead log by commits.",
                   tally_read(&measures->wal_written_bytes));
    metrics_number(writer, METRICS_GAUGE, "migchat_wal_bytes", "bytes",
                   "In the write-ahead log after the last commit.",
                   tally_read(&measures->wal_bytes));
    metrics_family(writer, METRICS_HISTOGRAM, "migchat_checkpoint_duration_seconds", "seconds",
                   "How long the write-ahead log took to be copied into the database.");
    metrics_histogram(writer, NULL, &histogram_of_durations, &measures->checkpoint_durations, 1, 0);
    metrics_number(writer, METRICS_COUNTER, "migchat_checkpoints_blocked", "",
                   "Of these, those that had to leave something because of a reader.",
                   tally_read(&measures->checkpoints_blocked));
    metrics_number(writer, METRICS_GAUGE, "migchat_database_bytes", "bytes",
                   "The database's file, at the last look.", tally_read(&measures->database_bytes));
    metrics_number(writer, METRICS_GAUGE, "migchat_disk_free_bytes", "bytes",
                   "Free on the database's disk, at the last look: while there are writes, each "
                   "second.",
                   tally_read(&measures->disk_free_bytes));
    metrics_number(writer, METRICS_GAUGE, "migchat_disk_floor_bytes", "bytes",
                   "Below so many free the server is not ready.",
                   tally_read(&measures->disk_floor_bytes));
    backups_write(writer, backups);
}

static void backups_write(struct metrics_writer *writer, struct backups *backups)
{
    const struct metrics_label done[] = {{"result", "done"}, {NULL, NULL}};
    const struct metrics_label failed[] = {{"result", "failed"}, {NULL, NULL}};
    struct backup_report report;

    backups_look(backups, &report);
    metrics_family(writer, METRICS_COUNTER, "migchat_backups", "",
                   "Backups made by the running server.");
    metrics_value(writer, done, report.done_count);
    metrics_value(writer, failed, report.failed_count);
    metrics_number(writer, METRICS_GAUGE, "migchat_backup_running", "",
                   "Whether one is being made.", report.state == BACKUP_RUNNING ? 1 : 0);
    if (report.last_done_at_ms > 0) {
        metrics_family(writer, METRICS_GAUGE, "migchat_backup_last_done_timestamp_seconds",
                       "seconds", "When the last one since the start was done, in Unix time.");
        metrics_seconds(writer, NULL, (uint64_t)report.last_done_at_ms * NS_PER_MS);
    }
}
