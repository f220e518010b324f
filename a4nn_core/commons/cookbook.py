"""Questions people ask of a commons, each with a query; ``docs/commons.md`` shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One question.

    Attributes:
        name: short, for tests and links.
        question: as people ask it.
        query: SELECT that answers it.
    """

    name: str
    question: str
    query: str


COOKBOOK = (
    Recipe(
        "generations",
        "Does the search get better, and at what cost, from generation to generation?",
        """
select run, generation, count(*) as networks,
       round(max(best_accuracy_percent), 2) as best_percent,
       round(median(best_accuracy_percent), 2) as median_percent,
       round(median(flops) / 1e6, 1) as median_mflops
from networks
where status in ('completed', 'stopped')
group by run, generation
order by run, generation""",
    ),
    Recipe(
        "front",
        "Which networks are on the Pareto front, and how do they do on the test part?",
        """
select run, network, genome, round(flops / 1e6, 1) as mflops, parameters,
       best_accuracy_percent, test_accuracy_percent
from front
order by run, flops""",
    ),
    Recipe(
        "front-precision",
        "How exact are the accuracies on the Pareto front, one standard error to either side?",
        """
with measured as (
    select f.run, f.network, f.flops, f.best_accuracy_percent, f.test_accuracy_percent,
           nullif((r.dataset_details->>'$.validation')::int, 0) as validation_images,
           nullif((r.dataset_details->>'$.test')::int, 0) as test_images,
           -- two errors and two hits more than there were (Agresti and Coull)
           ((1 - f.best_accuracy_percent / 100) * validation_images + 2) / (validation_images + 4) as p,
           ((1 - f.test_accuracy_percent / 100) * test_images + 2) / (test_images + 4) as q
    from front f join runs r on r.run = f.run
)
select run, network, round(flops / 1e6, 1) as mflops,
       round(best_accuracy_percent, 2) as best_percent,
       round(100 * sqrt(p * (1 - p) / validation_images), 2) as best_se_points,
       round(test_accuracy_percent, 2) as test_percent,
       round(100 * sqrt(q * (1 - q) / test_images), 2) as test_se_points
from measured
order by run, flops""",
    ),
    Recipe(
        "family-tree",
        "What is the family tree of the best network of each run?",
        """
with recursive best as (
    select run, arg_max(network, best_accuracy_percent) as network
    from networks where status in ('completed', 'stopped') group by run
), tree as (
    select run, network, 0 as steps_back from best
    union
    select l.run, l.parent, t.steps_back + 1
    from tree t join lineage l on l.run = t.run and l.network = t.network
)
select t.run, t.network, min(t.steps_back) as steps_back, any_value(n.operator) as operator,
       any_value(n.best_accuracy_percent) as best_accuracy_percent
from tree t join networks n on n.run = t.run and n.network = t.network
group by t.run, t.network
order by t.run, steps_back, t.network""",
    ),
    Recipe(
        "worst-predictions",
        "Which predictions were furthest from what came true?",
        """
select p.run, p.network, p.epoch, p.function, round(p.predicted, 2) as predicted_percent,
       round(n.last_accuracy_percent, 2) as came_true_percent,
       round(abs(p.predicted - n.last_accuracy_percent), 2) as error_points
from predictions p join networks n on n.run = p.run and n.network = p.network
where n.epochs_trained = n.epochs_budget and p.predicted is not null
order by error_points desc, p.run, p.network, p.epoch
limit 20""",
    ),
    Recipe(
        "prediction-error-by-epoch",
        "How early can predictions be trusted?",
        """
select p.run, p.epoch, count(*) as fits,
       round(median(abs(p.predicted - n.last_accuracy_percent)), 2) as median_error_points
from predictions p join networks n on n.run = p.run and n.network = p.network
where n.epochs_trained = n.epochs_budget and p.predicted is not null
group by p.run, p.epoch
order by p.run, p.epoch""",
    ),
    Recipe(
        "epochs-saved",
        "How many epochs did the termination rule save, and for which reasons?",
        """
select n.run, r.experiment->>'$.termination.name' as rule,
       -- what earlier versions called beaten and settled
       case n.termination_reason when 'beaten' then 'dominated' when 'settled' then 'no_gain'
            else n.termination_reason end as reason,
       count(*) as networks, sum(n.epochs_budget - n.epochs_trained) as epochs_saved,
       round(100 * sum(n.epochs_budget - n.epochs_trained) / sum(n.epochs_budget), 1) as saved_percent
from networks n join runs r on r.run = n.run
where n.status in ('completed', 'stopped') and n.equal_to is null
group by all
order by n.run, epochs_saved desc, reason""",
    ),
    Recipe(
        "beaten-by",
        "Who was stopped, and by whom was it beaten?",
        """
with beaten as (
    -- by the best network at no more cost, better than all that it was expected to reach
    select n.run, n.network, arg_max(m.network, m.best_accuracy_percent) as by_network
    from networks n join networks m on m.run = n.run and m.flops <= n.flops
        and m.best_accuracy_percent > coalesce(n.predicted_high, n.best_accuracy_percent)
    where m.status in ('completed', 'stopped')
    group by n.run, n.network
)
select n.run, n.network, n.termination_reason as reason, n.epochs_trained as epochs,
       round(n.flops / 1e6, 1) as mflops, round(n.best_accuracy_percent, 2) as best_percent,
       round(n.predicted_high, 2) as optimistic_percent, b.by_network as beaten_by,
       round(m.flops / 1e6, 1) as its_mflops, round(m.best_accuracy_percent, 2) as its_best_percent,
       n.termination_evidence as evidence
from networks n
left join beaten b on b.run = n.run and b.network = n.network
left join networks m on m.run = b.run and m.network = b.by_network
where n.status = 'stopped'
order by n.run, n.network""",
    ),
    Recipe(
        "would-have-been",
        "What would have become of the networks that were stopped (asked of a run with a shadow)?",
        """
select o.run, s.run as shadow, o.network, o.termination_reason as reason, o.epochs_trained as epochs,
       round(o.best_accuracy_percent, 2) as best_percent,
       round(w.best_accuracy_percent, 2) as would_have_been_percent,
       round(w.best_accuracy_percent - o.best_accuracy_percent, 2) as lost_points,
       f.network is not null as on_true_front
from networks o
join runs s on s.shadow_of = o.run
join networks w on w.run = s.run and w.network = o.network
left join front f on f.run = w.run and f.network = w.network
where o.status = 'stopped' and w.status = 'completed'
order by lost_points desc, o.run, s.run, o.network""",
    ),
    Recipe(
        "before-the-first-epoch",
        "What was predicted before the first epoch, and was it right?",
        """
with finished as (
    -- by the network itself, or by its shadow
    select coalesce(r.shadow_of, n.run) as run, n.network, max(n.last_accuracy_percent) as last_percent
    from networks n join runs r on r.run = n.run
    where n.status = 'completed' and n.equal_to is null
    group by all
)
select p.run, p.network, p.function as model, round(p.predicted, 2) as predicted_percent,
       round(p.low, 2) as low, round(p.high, 2) as high, round(f.last_percent, 2) as came_true_percent,
       round(abs(p.predicted - f.last_percent), 2) as error_points,
       f.last_percent between p.low and p.high as inside
from predictions p left join finished f on f.run = p.run and f.network = p.network
where p.epoch = 0
order by p.run, p.network""",
    ),
    Recipe(
        "considered",
        "Which networks were considered, and why were they not trained?",
        """
select c.run, c.generation, c.genome, round(c.flops / 1e6, 1) as mflops, c.operator, c.parents,
       round(c.predicted_accuracy_percent, 2) as predicted_percent,
       round(c.predicted_low, 2) as low, round(c.predicted_high, 2) as high,
       c.expected_improvement, c.reason, min(n.network) as trained_after_all_as
from considered c
left join networks n on n.run = c.run and n.architecture_hash = c.architecture_hash
group by all
order by c.run, c.generation, c.expected_improvement desc nulls last, c.genome
limit 100""",
    ),
    Recipe(
        "invalid-proposals",
        "Which share of what a person, a program or a function proposed was not valid, and why?",
        """
with proposals as (
    select run, generation, 'asked for' as outcome from networks
    union all
    select run, generation, reason from rejected
)
select run, generation, outcome, count(*) as genomes,
       round(100 * count(*) / sum(count(*)) over (partition by run, generation), 1) as percent
from proposals
where run in (select run from rejected)
group by run, generation, outcome
order by run, generation, genomes desc, outcome""",
    ),
    Recipe(
        "taken-over",
        "What became of networks of earlier runs that a search began with?",
        """
select n.run, n.network, n.genome, p.run as earlier_run, p.network as earlier_network,
       round(p.best_accuracy_percent, 2) as percent_there,
       round(n.best_accuracy_percent, 2) as percent_here
from networks n
join networks p on p.architecture_hash = n.architecture_hash and p.run <> n.run
join runs r on r.run = n.run and contains(r.prior, '"' || p.run || '"')
where n.operator = 'prior' and p.equal_to is null
order by n.run, n.network, earlier_run""",
    ),
    Recipe(
        "operators",
        "What did each operator produce, and how often did a child beat its best parent?",
        """
select c.run, c.operator, count(distinct c.network) as children,
       round(avg(c.best_accuracy_percent), 2) as mean_percent,
       round(100 * avg((c.best_accuracy_percent > p.best)::int), 1) as beat_both_parents_percent
from networks c
join (
    select l.run, l.network, max(n.best_accuracy_percent) as best
    from lineage l join networks n on n.run = l.run and n.network = l.parent
    group by l.run, l.network
) p on p.run = c.run and p.network = c.network
where c.status in ('completed', 'stopped')
group by c.run, c.operator
order by c.run, c.operator""",
    ),
    Recipe(
        "phylogeny",
        "Who founded each run, how many founders have descendants in the last generation, how deep is it?",
        """
with recursive family as (
    -- the founder that each network descends from, and in how many steps at most
    select run, network, network as founder, 0 as depth from networks where len(parents) = 0
    union
    select l.run, l.network, f.founder, f.depth + 1
    from family f join lineage l on l.run = f.run and l.parent = f.network
), last as (
    select run, max(generation) as generation from networks group by run
)
select n.run, count(distinct n.network) as networks,
       count(distinct n.network) filter (len(n.parents) = 0) as founders,
       count(distinct f.founder) filter (n.generation = l.generation) as founders_that_live_on,
       max(f.depth) as deepest
from networks n
join last l on l.run = n.run
left join family f on f.run = n.run and f.network = n.network
group by n.run
order by n.run""",
    ),
    Recipe(
        "time",
        "Where did the time go: training, generation by generation?",
        """
select n.run, n.generation, count(distinct n.network) as networks, count(*) as epochs,
       round(sum(e.seconds) / 3600, 3) as hours, round(avg(e.images_per_second)) as images_per_second
from networks n join epochs e on e.run = n.run and e.network = n.network
group by n.run, n.generation
order by n.run, n.generation""",
    ),
    Recipe(
        "time-by-phase",
        "How much time went into learning, into validating and saving, into fits, and into waiting?",
        """
with trained as (
    select e.run, sum((r.dataset_details->>'$.train')::int / e.images_per_second) as learning,
           sum(e.seconds) as epochs
    from epochs e join runs r on r.run = e.run
    group by e.run
), fitted as (
    select run, sum(microseconds) / 1e6 as fitting from predictions group by run
), lives as (
    select run, network, min(time) filter (kind = 'submitted') as began,
           max(time) filter (kind in ('completed', 'stopped', 'failed')) as ended
    from events where network is not null
    group by run, network
), spent as (
    select run, sum(epoch(ended - began)) as lived from lives where ended is not null group by run
)
select t.run, round(t.learning, 1) as learning_seconds,
       round(t.epochs - t.learning - coalesce(f.fitting, 0), 1) as validating_and_saving_seconds,
       round(coalesce(f.fitting, 0), 3) as fitting_seconds,
       round(s.lived - t.epochs, 1) as waiting_seconds
from trained t left join fitted f on f.run = t.run left join spent s on s.run = t.run
order by t.run""",
    ),
    Recipe(
        "fit-cost",
        "What does prediction cost beside training?",
        """
select e.run, round(e.seconds, 1) as training_seconds, coalesce(p.fits, 0) as fits,
       round(coalesce(p.seconds, 0), 3) as fitting_seconds,
       round(100 * coalesce(p.seconds, 0) / e.seconds, 4) as fitting_percent
from (select run, sum(seconds) as seconds from epochs group by run) e
left join (
    select run, count(*) as fits, sum(microseconds) / 1e6 as seconds from predictions group by run
) p on p.run = e.run
order by e.run""",
    ),
    Recipe(
        "energy",
        "How much energy did each network take, and how much for each point above the worst?",
        """
select run, network, round(energy_joules, 1) as joules,
       round(energy_joules / epochs_trained, 2) as joules_an_epoch,
       round(best_accuracy_percent, 2) as best_percent,
       round(energy_joules / nullif(best_accuracy_percent
           - min(best_accuracy_percent) over (partition by run), 0), 1) as joules_a_point
from networks
where energy_joules is not null
order by run, energy_joules desc, network""",
    ),
    Recipe(
        "mean-curve",
        "What does the mean learning curve look like?",
        """
select run, epoch, count(*) as networks, round(avg(validation_accuracy_percent), 2) as mean_percent,
       round(quantile_cont(validation_accuracy_percent, 0.1), 2) as p10,
       round(quantile_cont(validation_accuracy_percent, 0.9), 2) as p90
from epochs
group by run, epoch
order by run, epoch""",
    ),
    Recipe(
        "in-training",
        "What is being trained right now, and how far is it?",
        """
select e.run, e.network, max(e.epoch) as epochs, max(e.validation_accuracy_percent) as best_percent,
       arg_max(e.predicted, e.epoch) as predicted_percent, max(e.time) as last_epoch_at
from epochs e anti join networks n on n.run = e.run and n.network = e.network
group by e.run, e.network
order by e.run, e.network""",
    ),
    Recipe(
        "failures",
        "Which networks failed or were outside the bounds, and why?",
        """
select run, status, error, count(*) as networks, list(network order by network) as numbers
from networks where status in ('failed', 'infeasible')
group by run, status, error
order by run, networks desc, error""",
    ),
    Recipe(
        "duplicates",
        "How many trainings were spared because an architecture had been seen before?",
        """
select run, count(*) filter (equal_to is not null) as spared, count(*) as asked,
       round(100 * count(*) filter (equal_to is not null) / count(*), 1) as spared_percent
from networks
group by run
order by run""",
    ),
    Recipe(
        "overfitting",
        "Which networks overfit: high training accuracy, lower validation accuracy at the end?",
        """
select run, network, epoch, round(train_accuracy_percent, 2) as train_percent,
       round(validation_accuracy_percent, 2) as validation_percent,
       round(train_accuracy_percent - validation_accuracy_percent, 2) as gap_points
from epochs
qualify row_number() over (partition by run, network order by epoch desc) = 1
order by gap_points desc nulls last, run, network
limit 20""",
    ),
    Recipe(
        "layers",
        "Where in the networks on the front is the cost?",
        """
select l.run, l.op, count(*) as layers, round(sum(l.flops) / 1e6, 1) as mflops,
       round(100 * sum(l.flops) / sum(sum(l.flops)) over (partition by l.run), 1) as percent
from layers l semi join front f on f.run = l.run and f.network = l.network
group by l.run, l.op
order by l.run, mflops desc, l.op""",
    ),
    Recipe(
        "genome-bits",
        "Which nodes do the bits of a genome connect (search space macro)?",
        """
with phases as (
    select run, network, generate_subscripts(bits, 1) as phase, unnest(bits) as bits
    from (select run, network, try_cast(genome as int[][]) as bits from front)
)
-- the bits in order: node 2 <- 1; node 3 <- 1, 2; ...; and last whether the input feeds the output
select run, network, phase,
       string_agg(format('{} -> {}', source, node), ', ' order by node, source)
           filter (bits[(node - 1) * (node - 2) // 2 + source] = 1) as connections,
       bits[-1] = 1 as input_feeds_output
from phases, range(2, 11) nodes(node), range(1, 10) sources(source)
where source < node and (node - 1) * (node - 2) // 2 + source < len(bits)
group by run, network, phase, bits
order by run, network, phase""",
    ),
    Recipe(
        "near-misses",
        "Which stopped networks differ from a member of the front in two positions of the genome at most?",
        """
with genomes as (
    select n.run, n.network, n.status, n.best_accuracy_percent, f.network is not null as on_front,
           regexp_extract_all(n.genome, '-?[0-9.]+|"[^"]*"|true|false') as v
    from networks n left join front f on f.run = n.run and f.network = n.network
    where n.equal_to is null
)
select s.run, s.network, round(s.best_accuracy_percent, 2) as best_percent, m.network as front_member,
       round(m.best_accuracy_percent, 2) as its_best_percent,
       len(list_filter(list_zip(s.v, m.v), lambda x: x[1] != x[2])) as differing
from genomes s join genomes m on m.run = s.run and m.on_front and len(m.v) = len(s.v)
where s.status = 'stopped' and not s.on_front and differing <= 2
order by s.run, differing, s.network, m.network""",
    ),
    Recipe(
        "wiring",
        "What are the layers of the best network, and what feeds each?",
        """
select w.run, w.network, w.layer, w.phase, w.node, w.operation, w.inputs, w.channels_out as channels,
       w.height_out || ' x ' || w.width_out as size, round(w.flops / 1e6, 2) as mflops
from wiring w semi join (
    select run, arg_max(network, best_accuracy_percent) as network from front group by run
) best on best.run = w.run and best.network = w.network
order by w.run, w.layer""",
    ),
    Recipe(
        "settings",
        "With what settings and versions was each run made?",
        """
select run, name, status, seed, dataset, experiment->>'$.search.name' as strategy,
       experiment->>'$.training.epochs' as epochs, environment->>'$.python' as python,
       ended - started as took
from runs
order by run""",
    ),
)
