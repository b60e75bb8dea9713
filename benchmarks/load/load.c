/* A load generator on libiscsi: one session, so many commands in flight, a latency histogram.
 *
 *   load URL [--op read|write|writeflush|fill] [--bytes N] [--depth N] [--seconds S]
 *            [--sequential] [--span BYTES] [--flush-every-ms N]
 *
 * Prints one JSON object. `fill` writes the span once, no two neighbours in turn, and ends. `writeflush` sends
 * SYNCHRONIZE CACHE after each write and counts the pair as one. With --flush-every-ms a 4 KiB
 * write and a SYNCHRONIZE CACHE go out on the same session beside the load, uncounted.
 * "cpu_share" is this program's own CPU time over the wall time: at 1.0 it is the bottleneck.
 * "ceiling_iops" is what it would reach then: commands a second of its own CPU time.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

enum op { OP_READ, OP_WRITE, OP_WRITEFLUSH, OP_FILL };

/* A tenth of a microsecond a bucket up to 20 ms, then a microsecond up to 2 s; what is later
 * counts as 2 s. */
#define FINE 200000
#define BUCKETS 2200000
#define DEPTH_MAX 256
#define FILL_STRIDE 1000003ull
#define INITIATOR "iqn.2026-11.io.tierce:load"

struct slot {
	unsigned char *buffer;
	uint64_t began_ns;
};

static struct iscsi_context *session;
static struct slot slots[DEPTH_MAX];
static int lun;
static enum op op = OP_READ;
static uint32_t bytes = 4096, depth = 1;
static double seconds = 1.0;
static int sequential;
static uint64_t span, block_count, next_block, seed = 88172645463325252ull;
static uint32_t block_size;
static uint32_t histogram[BUCKETS + 1];
static uint64_t done_count, deadline_ns, in_flight;
static long flush_every_ms;
static uint64_t flush_due_ns;
static int flush_in_flight;
static unsigned char flush_buffer[4096];

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, session ? iscsi_get_error(session) : strerror(errno));
	exit(1);
}

static uint64_t next_offset(void)
{
	uint64_t units = span / bytes, unit;

	if (op == OP_FILL) {
		/* No two neighbours in one batch: a server that joins adjacent writes would fill
		 * its page cache in larger folios than the others. The prime divides no span. */
		unit = next_block++ * FILL_STRIDE % units;
	} else if (sequential) {
		unit = next_block++ % units;
	} else {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		unit = seed % units;
	}
	return unit * bytes;
}

static void start(struct slot *slot);

static void finished(struct slot *slot)
{
	uint64_t ns = now_ns() - slot->began_ns;
	uint64_t bucket = ns < FINE * 100ull ? ns / 100 : FINE + (ns - FINE * 100ull) / 1000;

	histogram[bucket < BUCKETS ? bucket : BUCKETS]++;
	done_count++;
	in_flight--;
	start(slot);
}

static void flushed(struct iscsi_context *context, int status, void *data, void *private_data)
{
	(void)context;
	scsi_free_scsi_task(data);
	if (status != SCSI_STATUS_GOOD)
		die("SYNCHRONIZE CACHE failed");
	finished(private_data);
}

static void answered(struct iscsi_context *context, int status, void *data, void *private_data)
{
	(void)context;
	scsi_free_scsi_task(data);
	if (status != SCSI_STATUS_GOOD)
		die(op == OP_READ ? "READ failed" : "WRITE failed");
	if (op == OP_WRITEFLUSH) {
		if (!iscsi_synchronizecache10_task(session, lun, 0, 0, 0, 0, flushed, private_data))
			die("can't send SYNCHRONIZE CACHE");
		return;
	}
	finished(private_data);
}

static void start(struct slot *slot)
{
	struct scsi_task *task;
	uint64_t offset;
	uint32_t lba;

	if (op == OP_FILL ? next_block >= span / bytes : now_ns() >= deadline_ns)
		return;
	offset = next_offset();
	lba = (uint32_t)(offset / block_size);
	slot->began_ns = now_ns();
	in_flight++;
	if (op == OP_READ) {
		task = iscsi_read10_task(session, lun, lba, bytes, (int)block_size, 0, 0, 0, 0, 0,
					 answered, slot);
		if (!task || scsi_task_add_data_in_buffer(task, (int)bytes, slot->buffer))
			die("can't send READ");
	} else {
		task = iscsi_write10_task(session, lun, lba, slot->buffer, bytes, (int)block_size, 0, 0,
					  0, 0, 0, answered, slot);
		if (!task)
			die("can't send WRITE");
	}
}

static void side_flushed(struct iscsi_context *context, int status, void *data, void *private_data)
{
	(void)context;
	(void)private_data;
	scsi_free_scsi_task(data);
	if (status != SCSI_STATUS_GOOD)
		die("SYNCHRONIZE CACHE beside the load failed");
	flush_in_flight = 0;
}

static void side_written(struct iscsi_context *context, int status, void *data, void *private_data)
{
	(void)context;
	(void)private_data;
	scsi_free_scsi_task(data);
	if (status != SCSI_STATUS_GOOD)
		die("WRITE beside the load failed");
	if (!iscsi_synchronizecache10_task(session, lun, 0, 0, 0, 0, side_flushed, NULL))
		die("can't send SYNCHRONIZE CACHE");
}

static void side_flush(void)
{
	uint64_t now = now_ns();

	if (flush_in_flight || now < flush_due_ns || now >= deadline_ns)
		return;
	flush_due_ns = now + (uint64_t)flush_every_ms * 1000000ull;
	flush_in_flight = 1;
	if (!iscsi_write10_task(session, lun, (uint32_t)(next_offset() / block_size), flush_buffer,
				sizeof(flush_buffer), (int)block_size, 0, 0, 0, 0, 0, side_written, NULL))
		die("can't send WRITE");
}

static void serve(void)
{
	struct pollfd p = { .fd = iscsi_get_fd(session), .events = (short)iscsi_which_events(session) };
	int timeout = flush_every_ms ? 1 : 1000;

	if (poll(&p, 1, timeout) < 0 && errno != EINTR)
		die("poll");
	if (iscsi_service(session, p.revents) < 0)
		die("the session broke");
}

static double quantile_us(double share)
{
	uint64_t seen = 0, wanted = (uint64_t)(share * (double)done_count);

	for (uint32_t bucket = 0; bucket <= BUCKETS; bucket++) {
		seen += histogram[bucket];
		if (seen > wanted)
			return bucket < FINE ? bucket / 10.0 : FINE / 10.0 + (bucket - FINE);
	}
	return 2e6;
}

static void connect_to(const char *text)
{
	struct iscsi_url *url;
	struct scsi_task *task;
	struct scsi_readcapacity16 *capacity;

	session = iscsi_create_context(INITIATOR);
	if (!session)
		die("no memory");
	url = iscsi_parse_full_url(session, text);
	if (!url)
		die("not an iSCSI URL");
	lun = url->lun;
	iscsi_set_targetname(session, url->target);
	iscsi_set_session_type(session, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(session, ISCSI_HEADER_DIGEST_NONE);
	if (iscsi_full_connect_sync(session, url->portal, lun))
		die("can't log in");
	iscsi_destroy_url(url);
	task = iscsi_readcapacity16_sync(session, lun);
	if (!task || task->status != SCSI_STATUS_GOOD)
		die("READ CAPACITY(16) failed");
	capacity = scsi_datain_unmarshall(task);
	block_size = capacity->block_length;
	block_count = capacity->returned_lba + 1;
	scsi_free_scsi_task(task);
	if (!span || span > block_count * block_size)
		span = block_count * block_size;
}

static void parse(int argc, char **argv)
{
	static const char *const names[] = { "read", "write", "writeflush", "fill" };

	for (int i = 2; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";
		if (!strcmp(argv[i], "--sequential")) {
			sequential = 1;
			continue;
		}
		i++;
		if (!strcmp(argv[i - 1], "--op")) {
			int found = 0;
			for (int n = 0; n < 4; n++)
				if (!strcmp(value, names[n])) {
					op = (enum op)n;
					found = 1;
				}
			if (!found) {
				fprintf(stderr, "load: --op is read, write, writeflush or fill, not '%s'\n", value);
				exit(2);
			}
		} else if (!strcmp(argv[i - 1], "--bytes")) {
			bytes = (uint32_t)strtoul(value, NULL, 10);
		} else if (!strcmp(argv[i - 1], "--depth")) {
			depth = (uint32_t)strtoul(value, NULL, 10);
		} else if (!strcmp(argv[i - 1], "--seconds")) {
			seconds = strtod(value, NULL);
		} else if (!strcmp(argv[i - 1], "--span")) {
			span = strtoull(value, NULL, 10);
		} else if (!strcmp(argv[i - 1], "--flush-every-ms")) {
			flush_every_ms = strtol(value, NULL, 10);
		} else {
			fprintf(stderr, "load: unknown option %s\n", argv[i - 1]);
			exit(2);
		}
	}
	if (!bytes || !depth || depth > DEPTH_MAX) {
		fprintf(stderr, "load: --bytes above 0, --depth 1 to %d\n", DEPTH_MAX);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct rusage before, after;
	uint64_t began, ended;
	double wall, cpu;

	if (argc < 2) {
		fprintf(stderr, "usage: load URL [options]; see the top of load.c\n");
		return 2;
	}
	parse(argc, argv);
	connect_to(argv[1]);
	for (uint32_t i = 0; i < depth; i++) {
		slots[i].buffer = malloc(bytes);
		if (!slots[i].buffer)
			die("no memory");
		for (uint32_t n = 0; n < bytes; n++)
			slots[i].buffer[n] = (unsigned char)(rand() >> 7);
	}
	getrusage(RUSAGE_SELF, &before);
	began = now_ns();
	deadline_ns = began + (uint64_t)(seconds * 1e9);
	for (uint32_t i = 0; i < depth; i++)
		start(&slots[i]);
	while (in_flight || flush_in_flight) {
		if (flush_every_ms)
			side_flush();
		serve();
	}
	ended = now_ns();
	getrusage(RUSAGE_SELF, &after);
	iscsi_logout_sync(session);
	iscsi_destroy_context(session);
	wall = (double)(ended - began) / 1e9;
	cpu = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec) +
	      (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1e6 +
	      (double)(after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
	      (double)(after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
	printf("{\"count\": %llu, \"seconds\": %.6f, \"iops\": %.1f, \"bytes_per_s\": %.0f, "
	       "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"cpu_s\": %.6f, "
	       "\"cpu_share\": %.3f, \"ceiling_iops\": %.0f}\n",
	       (unsigned long long)done_count, wall, (double)done_count / wall,
	       (double)done_count * bytes / wall, quantile_us(0.5), quantile_us(0.99),
	       quantile_us(0.999), cpu, cpu / wall,
	       cpu > 0 ? (double)done_count / cpu : 0.0);
	return 0;
}
