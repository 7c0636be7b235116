// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.spark;

import java.io.IOException;
import java.io.PrintStream;
import java.io.Serializable;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.spark.BarrierTaskContext;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.launcher.JavaModuleOptions;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import scala.Function1;
import scala.jdk.javaapi.CollectionConverters;
import scala.reflect.ClassTag;

/** Starts a Spark cluster of two worker processes and takes norms of gradients that are partitioned over them. */
@Command(
        name = "spark",
        mixinStandardHelpOptions = true,
        description = {
            "Takes the norm of the same gradients many times, on a Spark cluster of two processes: by gradclip over a",
            "barrier stage, by BigDL's formula, and by sums of squares in double that Spark reduces as they arrive."
        })
public final class SparkNorms implements Callable<Integer> {
    @Option(
            names = "--partitions",
            split = ",",
            defaultValue = "2,4,8",
            description = "Partitions of the gradients, 1 to 8 each. Default: ${DEFAULT-VALUE}.")
    private List<Integer> partitions = List.of();

    @Option(names = "--elements", defaultValue = "4000000", description = "Gradients. Default: ${DEFAULT-VALUE}.")
    private int elements;

    @Option(names = "--runs", defaultValue = "20", description = "Norms of each kind. Default: ${DEFAULT-VALUE}.")
    private int runs;

    private final PrintStream out;

    SparkNorms(PrintStream out) {
        this.out = out;
    }

    /** Runs the program and exits with its code. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        boolean isHome = home().equals(System.getenv("SPARK_HOME"));
        System.exit(isHome ? new CommandLine(new SparkNorms(System.out)).execute(arguments) : withSparkHome(arguments));
    }

    /** Spark's worker processes take their jars from the folder {@code jars} in this one. */
    private static String home() {
        return String.valueOf(here().getParent());
    }

    /** Starts this program again as Spark wants it: with the folder of its jars in the environment, and open packages. */
    private static int withSparkHome(String[] arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home", ""), "bin", "java").toString());
        command.addAll(List.of(JavaModuleOptions.defaultModuleOptionArray()));
        command.addAll(List.of("-cp", System.getProperty("java.class.path", ""), SparkNorms.class.getName()));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
        builder.environment().put("SPARK_HOME", home());
        builder.environment().put("SPARK_SCALA_VERSION", "2.13");
        builder.environment().put("SPARK_LOCAL_IP", "127.0.0.1");
        return builder.start().waitFor();
    }

    /** The jar, or folder, that this program is run from. */
    private static Path here() {
        return Path.of(URI.create(String.valueOf(
                SparkNorms.class.getProtectionDomain().getCodeSource().getLocation())));
    }

    @Override
    public Integer call() {
        if (partitions.stream().anyMatch(cut -> cut < 1 || cut > 8)) {
            throw new IllegalArgumentException("partitions must be 1 to 8, but are " + partitions);
        }
        if (elements < 1 || runs < 1) throw new IllegalArgumentException("elements and runs must be 1 or more");
        int most = partitions.stream().max(Integer::compare).orElse(1);
        // Tasks of a barrier stage run all at once, each on a core of its own.
        int cores = (most + 1) / 2;
        SparkConf conf = new SparkConf()
                .setAppName("gradclip")
                .setMaster("local-cluster[2," + cores + ",1024]")
                .set("spark.ui.enabled", "false")
                .set("spark.barrier.sync.timeout", "60")
                .set("spark.executor.extraClassPath", here().toString());
        try (JavaSparkContext spark = new JavaSparkContext(conf)) {
            out.printf(Locale.ROOT, "%,d gradients on 2 processes, each norm taken %d times:%n%n", elements, runs);
            out.println("| partitions | norm | different values | the first | off by |");
            out.println("|---|---|---|---|---|");
            double whole = Shard.wholeNorm(elements);
            boolean same = true;
            for (int cut : partitions) same &= isWhole(spark, cut, whole);
            row("one process", "gradclip", List.of(whole));
            return same ? 0 : 1;
        }
    }

    /** Takes all norms of the gradients in so many partitions; returns true if gradclip's is that of one process. */
    private boolean isWhole(JavaSparkContext spark, int cut, double whole) {
        int length = elements;
        List<Gradients> parts = IntStream.range(0, cut)
                .mapToObj(i -> Gradients.of(length, i, cut))
                .toList();
        JavaRDD<Gradients> gradients = spark.parallelize(parts, cut);
        List<Double> ours = times(() -> gradclip(gradients));
        row("" + cut, "gradclip, over a barrier stage", ours);
        row("" + cut, "BigDL's formula", times(() -> reduced(gradients, Gradients::sumOfSquaresInFloat)));
        row("" + cut, "in double, reduced", times(() -> reduced(gradients, Gradients::sumOfSquaresInDouble)));
        return ours.stream().allMatch(norm -> norm == whole);
    }

    private List<Double> times(Supplier<Double> norm) {
        return Stream.generate(norm).limit(runs).toList();
    }

    private void row(String cut, String name, List<Double> norms) {
        double exact = Gradients.of(elements, 0, 1).norm();
        double first = norms.get(0);
        out.printf(
                Locale.ROOT,
                "| %s | %s | %d | %s | %.1e |%n",
                cut,
                name,
                norms.stream().distinct().count(),
                first,
                Math.abs(first - exact) / exact);
    }

    private static double reduced(JavaRDD<Gradients> gradients, Function<Gradients, Double> square) {
        return Math.sqrt(gradients.map(square).reduce(Double::sum));
    }

    /** The norm that every task has found; throws where they differ. */
    private static double gradclip(JavaRDD<Gradients> gradients) {
        ClassTag<Double> ofDouble = ClassTag.apply(Double.class);
        Function1<scala.collection.Iterator<Gradients>, scala.collection.Iterator<Double>> task =
                (Function1<scala.collection.Iterator<Gradients>, scala.collection.Iterator<Double>> & Serializable)
                        own -> CollectionConverters.asScala(clip(CollectionConverters.asJava(own)));
        List<Double> norms = gradients
                .rdd()
                .barrier()
                .mapPartitions(task, false, ofDouble)
                .toJavaRDD()
                .collect();
        if (norms.stream().distinct().count() != 1) throw new IllegalStateException("partitions differ: " + norms);
        return norms.get(0);
    }

    private static Iterator<Double> clip(Iterator<Gradients> own) {
        return List.of(new Shard(own.next()).clip(new SparkExchange(BarrierTaskContext.get())))
                .iterator();
    }
}
