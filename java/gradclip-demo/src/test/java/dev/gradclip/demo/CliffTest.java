// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class CliffTest {
    private static Cliff.Point largest(List<Cliff.Point> path) {
        return path.stream().reduce((a, b) -> a.norm() > b.norm() ? a : b).orElseThrow();
    }

    /** One step over the wall throws an unclipped run far away; clipped, none is longer than the threshold allows. */
    @Test
    void theWallThrowsOnlyWhatIsNotClipped() {
        List<Cliff.Point> unclipped = Cliff.unclipped();
        Cliff.Point wall = largest(unclipped);
        Cliff.Point thrown = unclipped.get(unclipped.indexOf(wall) + 1);
        assertTrue(wall.norm() > 1000, wall::toString);
        double far = Math.hypot(thrown.w() - wall.w(), thrown.b() - wall.b());
        assertEquals(Cliff.LEARNING_RATE * wall.norm(), far, 1e-9 * far);
        List<Cliff.Point> clipped = Cliff.clipped();
        assertEquals(wall, largest(clipped), "the same way up to the wall");
        for (int i = 1; i < clipped.size(); i++) {
            Cliff.Point from = clipped.get(i - 1);
            double way =
                    Math.hypot(clipped.get(i).w() - from.w(), clipped.get(i).b() - from.b());
            double norm = Math.min(from.norm(), Cliff.MAX_NORM);
            assertEquals(Cliff.LEARNING_RATE * norm, way, 1e-5 * way);
        }
        Cliff.Point last = clipped.get(clipped.size() - 1);
        assertTrue(last.loss() < unclipped.get(unclipped.size() - 1).loss(), last::toString);
    }

    /** Off the wall, where a difference of two losses tells the slope. */
    @Test
    void normIsThatOfTheSlope() {
        double h = 1e-6;
        for (Cliff.Point point : Cliff.clipped().subList(0, 6)) {
            double byW = (Cliff.loss(point.w() + h, point.b()) - Cliff.loss(point.w() - h, point.b())) / (2 * h);
            double byB = (Cliff.loss(point.w(), point.b() + h) - Cliff.loss(point.w(), point.b() - h)) / (2 * h);
            assertEquals(Math.hypot(byW, byB), point.norm(), 1e-6);
            assertEquals(Cliff.loss(point.w(), point.b()), point.loss());
        }
    }
}
