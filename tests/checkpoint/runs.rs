//! Folders of checkpoints that training runs saved: the newest is read, and writing keeps the last few and no more.

use pretrained::{CheckpointConfig, Checkpoints, Error, Format, SaveFormat, SaveOptions, StateDict, Tensor};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn holding(value: f32) -> StateDict {
    [("w", Tensor::from_f32(&[1], &[value]).unwrap())].into_iter().collect()
}

fn write(folder: &Path, name: &str, value: f32) {
    let options = SaveOptions { format: SaveFormat::MindSpore, ..SaveOptions::default() };
    holding(value).save(folder.join(name), &options).unwrap();
}

/// A folder with these checkpoints, each of which holds its place in the list.
fn folder(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    names.iter().enumerate().for_each(|(at, name)| write(folder.path(), name, at as f32));
    folder
}

fn value(state: &StateDict) -> f32 {
    state.get("w").unwrap().to_f32_vec()[0]
}

/// The names in a folder, hidden ones too.
fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn config(folder: &Path, keep: usize) -> CheckpointConfig {
    CheckpointConfig {
        prefix: "mlp".into(),
        directory: folder.to_owned(),
        keep_checkpoint_max: keep,
        ..CheckpointConfig::default()
    }
}

#[track_caller]
fn assert_refused(folder: &Path, parts: &[&str]) {
    let error = StateDict::open(folder).unwrap_err();
    assert!(matches!(error, Error::Checkpoint { .. }), "{error:?}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn the_newest_is_that_of_the_last_run_epoch_and_step_as_numbers() {
    for names in [
        &["mlp-1_9.ckpt", "mlp-1_10.ckpt"][..],
        &["mlp-9_600.ckpt", "mlp-10_1.ckpt"],
        &["mlp-99_99.ckpt", "mlp_9-50_1.ckpt", "mlp_10-1_1.ckpt"],
        &["my_best-net-1_9.ckpt", "my_best-net_1-1_2.ckpt"],
        &["best.ckpt", "mlp-2_1_breakpoint.ckpt", "mlp-1_1.ckpt"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        // The newest first, so that the files' times mislead; and what is no checkpoint.
        names.iter().enumerate().rev().for_each(|(at, name)| write(folder.path(), name, at as f32));
        fs::write(folder.path().join("mlp-graph.meta"), "x").unwrap();
        fs::create_dir(folder.path().join("mlp_99-99_99.ckpt")).unwrap();
        let state = StateDict::open(folder.path()).unwrap();
        let newest = names.last().unwrap();
        assert_eq!(value(&state), (names.len() - 1) as f32, "{names:?}");
        assert_eq!(state.path().unwrap(), folder.path().join(newest));
        assert_eq!(state.format(), Some(Format::MindSpore));
        assert!(state.notes().iter().any(|note| note.contains(&format!("took {newest}"))), "{:?}", state.notes());
    }
}

#[test]
fn what_is_not_clearly_the_newest_is_an_error_that_names_both() {
    let of = |names| folder(names);
    let models = of(&["lenet-9_9.ckpt", "mlp-1_1.ckpt"]);
    assert_refused(models.path(), &["several models", "lenet-9_9.ckpt", "mlp-1_1.ckpt"]);
    for tie in [&["mlp-1_5.ckpt", "mlp-01_5.ckpt"][..], &["mlp-1_5.ckpt", "mlp_0-1_5.ckpt"]] {
        assert_refused(of(tie).path(), &["two checkpoints of one run, epoch and step", tie[0], tie[1]]);
    }
    // A tie of older ones is of no interest.
    assert_eq!(value(&StateDict::open(of(&["mlp-1_5.ckpt", "mlp-01_5.ckpt", "mlp-1_6.ckpt"]).path()).unwrap()), 2.0);
    assert_refused(of(&["mlp.ckpt"]).path(), &["PREFIX-EPOCH_STEP.ckpt", "mlp.ckpt"]);
}

#[test]
fn a_folder_of_two_kinds_is_refused_by_both_names() {
    let snapshot = tempfile::tempdir().unwrap();
    holding(1.0)
        .save(snapshot.path(), &SaveOptions { format: SaveFormat::OneFlow, overwrite: true, ..SaveOptions::default() })
        .unwrap();
    assert_eq!(StateDict::open(snapshot.path()).unwrap().format(), Some(Format::OneFlowSnapshot));
    write(snapshot.path(), "mlp-1_1.ckpt", 2.0);
    assert_refused(snapshot.path(), &["several kinds", "OneFlow snapshot", "mlp-1_1.ckpt"]);

    let sharded = tempfile::tempdir().unwrap();
    holding(3.0).save(sharded.path().join("model-00001-of-00001.safetensors"), &SaveOptions::default()).unwrap();
    let index = r#"{"weight_map": {"w": "model-00001-of-00001.safetensors"}}"#;
    fs::write(sharded.path().join("model.safetensors.index.json"), index).unwrap();
    assert_eq!(value(&StateDict::open(sharded.path()).unwrap()), 3.0);
    write(sharded.path(), "mlp-1_1.ckpt", 2.0);
    assert_refused(sharded.path(), &["several kinds", "model.safetensors.index.json", "mlp-1_1.ckpt"]);

    // Folders beside the checkpoints are none of them.
    let run = folder(&["mlp-1_1.ckpt"]);
    fs::create_dir(run.path().join("logs")).unwrap();
    fs::write(run.path().join("logs/events"), "x").unwrap();
    assert_eq!(value(&StateDict::open(run.path()).unwrap()), 0.0);
}

#[test]
fn the_last_few_stay_and_what_others_wrote_too() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = ["mlp.ckpt", "mlp-graph.meta", "other-1_1.ckpt", "mlp-1_1_breakpoint.ckpt", "notes.txt"];
    foreign.iter().for_each(|name| fs::write(folder.path().join(name), "precious").unwrap());
    let mut run = Checkpoints::start(config(folder.path(), 2)).unwrap();
    for step in 1..=11 {
        let path = run.save(1, step, &holding(step as f32)).unwrap();
        assert_eq!(path, folder.path().join(format!("mlp-1_{step}.ckpt")));
    }
    assert_eq!(run.paths().collect::<Vec<_>>(), [10, 11].map(|step| folder.path().join(format!("mlp-1_{step}.ckpt"))));
    drop(run);
    assert_eq!(names(folder.path()), &set(&foreign) | &set(&["mlp-1_10.ckpt", "mlp-1_11.ckpt"]));
    assert!(foreign.iter().all(|name| fs::read(folder.path().join(name)).unwrap() == b"precious"));
}

#[test]
fn a_second_run_has_a_name_of_its_own_and_leaves_the_first_alone() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mlp", "mlp_1", "mlp_2"] {
        let mut run = Checkpoints::start(config(folder.path(), 2)).unwrap();
        assert_eq!(run.run_name(), name);
        (1..=3).for_each(|step| drop(run.save(1, step, &holding(step as f32)).unwrap()));
    }
    let kept = ["mlp", "mlp_1", "mlp_2"].iter().flat_map(|run| [2, 3].map(|step| format!("{run}-1_{step}.ckpt")));
    assert_eq!(names(folder.path()), kept.collect());
    // The newest is the last run's, though the first got further.
    write(folder.path(), "mlp-9_9.ckpt", 9.0);
    assert!(StateDict::open(folder.path()).unwrap().path().unwrap().ends_with("mlp_2-1_3.ckpt"));
    // What MindSpore would count from: the largest number, not how many there are.
    write(folder.path(), "mlp_40-1_1.ckpt", 0.0);
    assert_eq!(Checkpoints::start(config(folder.path(), 2)).unwrap().run_name(), "mlp_41");
    let under = |prefix: &str| CheckpointConfig { prefix: prefix.into(), ..config(folder.path(), 2) };
    assert_eq!(Checkpoints::start(under("mlp_2")).unwrap().run_name(), "mlp_2_1");
    assert_eq!(Checkpoints::start(under("ml")).unwrap().run_name(), "ml");
}

#[test]
fn runs_that_start_at_the_same_time_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let runs: BTreeSet<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut run = Checkpoints::start(config(folder.path(), 2)).unwrap();
                    (1..=4).for_each(|step| drop(run.save(1, step, &holding(0.0)).unwrap()));
                    run.run_name()
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(runs.len(), 8);
    let kept = runs.iter().flat_map(|run| [3, 4].map(|step| format!("{run}-1_{step}.ckpt")));
    assert_eq!(names(folder.path()), kept.collect());
    // Nor do those that have written nothing yet.
    let (first, second) = (Checkpoints::start(config(folder.path(), 2)), Checkpoints::start(config(folder.path(), 2)));
    assert_ne!(first.unwrap().run_name(), second.unwrap().run_name());
}

#[test]
fn what_has_come_in_the_place_of_a_checkpoint_is_neither_replaced_nor_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Checkpoints::start(config(folder.path(), 1)).unwrap();
    let first = run.save(1, 1, &holding(1.0)).unwrap();
    // The run's own may be written again.
    assert_eq!(run.save(1, 1, &holding(1.5)).unwrap(), first);
    assert_eq!((value(&StateDict::open(&first).unwrap()), run.paths().len()), (1.5, 1));
    fs::write(&first, "precious").unwrap();
    assert!(run.save(1, 1, &holding(2.0)).unwrap_err().to_string().contains("exists already"));
    run.save(1, 2, &holding(2.0)).unwrap();
    assert_eq!(fs::read(&first).unwrap(), b"precious");
    // One that is gone already is no error.
    fs::remove_file(run.paths().next().unwrap()).unwrap();
    run.save(1, 3, &holding(3.0)).unwrap();
    // What lies there before the run came to it.
    fs::write(folder.path().join("mlp-1_4.ckpt"), "precious").unwrap();
    assert!(run.save(1, 4, &holding(4.0)).is_err());
    drop(run);
    assert_eq!(names(folder.path()), set(&["mlp-1_1.ckpt", "mlp-1_3.ckpt", "mlp-1_4.ckpt"]));
}

#[cfg(unix)]
#[test]
fn links_lead_nowhere_out_of_the_folder_and_are_left_alone_in_deleting() {
    use std::os::unix::fs::symlink;
    let store = folder(&["real-5_5.ckpt"]);
    let folder = folder(&["mlp-1_1.ckpt"]);
    fs::create_dir(folder.path().join("best")).unwrap();
    fs::rename(folder.path().join("mlp-1_1.ckpt"), folder.path().join("best/one")).unwrap();
    symlink("best/one", folder.path().join("mlp-2_1.ckpt")).unwrap();
    let state = StateDict::open(folder.path()).unwrap();
    assert!(state.path().unwrap().ends_with("mlp-2_1.ckpt") && value(&state) == 0.0);
    // The newest leads out; what it leads to is not read, and nothing of it is told.
    let secret = store.path().join("secret");
    fs::write(&secret, "root:x:0:0:root").unwrap();
    for target in [store.path().join("real-5_5.ckpt"), secret] {
        let link = folder.path().join("mlp-3_1.ckpt");
        symlink(&target, &link).unwrap();
        assert_refused(folder.path(), &["mlp-3_1.ckpt", "link out of the folder"]);
        assert!(!StateDict::open(folder.path()).unwrap_err().to_string().contains("root:"));
        // By its own name it is followed.
        assert_eq!(StateDict::open(&link).is_ok(), target.ends_with("real-5_5.ckpt"));
        fs::remove_file(link).unwrap();
    }
    // Older weights in the place of those that a broken link led to would go unnoticed.
    symlink("nowhere", folder.path().join("mlp-3_1.ckpt")).unwrap();
    let error = StateDict::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("mlp-3_1.ckpt"), "{error}");

    // The folder itself by a link; and a link where the run's own file was.
    let (real, link) = (store.path().join("runs"), store.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let mut run = Checkpoints::start(config(&link, 1)).unwrap();
    let first = run.save(1, 1, &holding(1.0)).unwrap();
    assert_ne!(Checkpoints::start(config(&real, 1)).unwrap().run_name(), run.run_name());
    let aside = store.path().join("aside");
    fs::rename(&first, &aside).unwrap();
    symlink(&aside, &first).unwrap();
    assert!(run.save(1, 1, &holding(9.0)).is_err());
    run.save(1, 2, &holding(2.0)).unwrap();
    assert!(fs::symlink_metadata(&first).unwrap().is_symlink());
    assert_eq!(value(&StateDict::open(&aside).unwrap()), 1.0);
}

#[test]
fn steps_are_counted_and_those_that_fail_stay_due() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("runs/today");
    let config = CheckpointConfig { save_checkpoint_steps: 3, ..config(&folder, 9) };
    let mut run = Checkpoints::start(config).unwrap();
    let mut asked = 0;
    for step in 1..=7 {
        let state = || {
            asked += 1;
            holding(step as f32)
        };
        let saved = run.step(2, step, state).unwrap();
        assert_eq!(saved, (step % 3 == 0).then(|| folder.join(format!("mlp-2_{step}.ckpt"))));
    }
    assert_eq!(asked, 2);
    fs::write(folder.join("mlp-2_9.ckpt"), "in the way").unwrap();
    assert!(run.step(2, 8, || holding(8.0)).unwrap().is_none());
    assert!(run.step(2, 9, || holding(9.0)).is_err());
    assert!(run.step(2, 10, || holding(10.0)).unwrap().is_some());
    assert!(run.step(2, 11, || holding(11.0)).unwrap().is_none());
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = || config(folder.path(), 1);
    for prefix in ["", "a/b", "..", ".hidden", "a\\b", "C:x", "a\0b"] {
        let config = CheckpointConfig { prefix: prefix.into(), ..good() };
        assert!(matches!(Checkpoints::start(config), Err(Error::Usage(_))), "{prefix:?}");
    }
    assert!(Checkpoints::start(CheckpointConfig { keep_checkpoint_max: 0, ..good() }).is_err());
    assert!(Checkpoints::start(CheckpointConfig { save_checkpoint_steps: 0, ..good() }).is_err());
    fs::write(folder.path().join("file"), "").unwrap();
    let within = CheckpointConfig { directory: folder.path().join("file"), ..good() };
    assert!(matches!(Checkpoints::start(within), Err(Error::Io { .. })));
    assert_eq!(names(folder.path()), set(&["file"]));
    // The last number that there is, and none after it.
    write(folder.path(), "mlp_4294967294-1_1.ckpt", 0.0);
    let last = Checkpoints::start(good()).unwrap();
    assert_eq!(last.run_name(), "mlp_4294967295");
    assert!(Checkpoints::start(good()).unwrap_err().to_string().contains("no number left"));
}
