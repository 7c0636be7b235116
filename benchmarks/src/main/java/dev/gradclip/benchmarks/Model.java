// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.benchmarks;

import dev.gradclip.measure.Shape;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Map.Entry;

/**
 * A line through measurements, in microseconds.
 *
 * @param name what they are of
 * @param fit by bytes or by tensors
 * @param from the least x it was fitted to
 * @param to the largest
 */
record Model(String name, Fit fit, double from, double to) {
    /**
     * Memory is slower than caches, so one line cannot hold for both: 4 MiB is what two cores' L2 hold here, 64 MiB is
     * beyond.
     */
    private static final long CACHED = 4 << 20;

    private static final long UNCACHED = 64 << 20;

    static List<Model> ofSizes(List<Scaling.Size> sizes) {
        Map<String, List<Fit.Point>> groups = new LinkedHashMap<>();
        for (Scaling.Size size : sizes) {
            String where = size.bytes() <= CACHED ? ", up to 4 MiB" : size.bytes() >= UNCACHED ? ", from 64 MiB" : "";
            Fit.Point point = new Fit.Point((double) size.bytes(), size.times().median());
            add(groups, size.what().title() + ", all sizes", point);
            if (!where.isEmpty()) add(groups, size.what().title() + where, point);
        }
        return models(groups);
    }

    static List<Model> ofCounts(List<Scaling.Count> counts) {
        Map<String, List<Fit.Point>> groups = new LinkedHashMap<>();
        for (Scaling.Count count : counts) {
            String name = count.what().title() + " of " + Shape.human(count.elements());
            add(groups, name, new Fit.Point(count.tensors(), count.times().median()));
        }
        return models(groups);
    }

    private static void add(Map<String, List<Fit.Point>> groups, String name, Fit.Point point) {
        groups.computeIfAbsent(name, n -> new ArrayList<>()).add(point);
    }

    private static List<Model> models(Map<String, List<Fit.Point>> groups) {
        List<Model> models = new ArrayList<>();
        for (Entry<String, List<Fit.Point>> group : groups.entrySet()) {
            List<Fit.Point> points = group.getValue();
            if (points.size() < 2) continue;
            models.add(new Model(
                    group.getKey(),
                    Fit.of(points),
                    points.get(0).x(),
                    points.get(points.size() - 1).x()));
        }
        return models;
    }
}
